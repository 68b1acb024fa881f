"""A backup: what cannot be rebuilt, in one file, from one home and for any other."""
