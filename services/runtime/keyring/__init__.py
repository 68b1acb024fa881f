"""The keyring: one key for each case, wrapped by a master key. A port and its adapters."""
