"""How the services and what they need are run."""
