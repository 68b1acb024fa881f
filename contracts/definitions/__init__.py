"""Instruments, protocols, policies, guidance and wordings: clinical content as immutable data."""
