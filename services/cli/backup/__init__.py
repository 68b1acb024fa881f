"""`ontrack backup` and `ontrack restore`: what cannot be rebuilt, in one sealed file."""
