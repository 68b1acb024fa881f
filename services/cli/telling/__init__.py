"""What happened and what was concluded, in words."""
