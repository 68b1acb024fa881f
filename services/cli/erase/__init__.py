"""`ontrack erase`: a case is erased for ever, in all that is known, and what remains is listed."""
