"""What somebody sends who means harm, or whose program is broken, and what must hold meanwhile."""
