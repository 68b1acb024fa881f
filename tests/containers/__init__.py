"""Servers in containers, on a Docker engine of the tests' own and in images that are made here."""
