"""The log: records in order, by topic and partition. A port and its adapters."""
