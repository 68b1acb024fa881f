"""The directory: who is who. A port and its adapters."""
