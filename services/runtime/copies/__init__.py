"""The copies: files that were made of what a home holds, and can be read or bring it back. A port and its adapters."""
