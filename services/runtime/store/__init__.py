"""The store: the states of the stages, and how far they have come. A port and its adapters."""
