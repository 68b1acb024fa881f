"""JSON Schemas of everything on the wire, made from the models: `python -m contracts.schemas` writes them."""
