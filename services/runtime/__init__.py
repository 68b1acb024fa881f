"""Shared machinery: ports and their adapters, the runner. Knows no service."""
