"""The door: facts are validated and recorded, and only here."""
