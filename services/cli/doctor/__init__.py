"""`ontrack doctor`: what it checks, and what it says of it."""
