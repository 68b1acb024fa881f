"""`ontrack audit`: whether a history is whole and right, and what led to what."""
