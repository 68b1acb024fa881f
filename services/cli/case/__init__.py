"""`ontrack case`: one case as a picture, and what happened in it."""
