"""Requests by chance, made from what the API says of itself."""
