"""The outbox: how far each notice has come on its way to each recipient. A port and its adapters."""
