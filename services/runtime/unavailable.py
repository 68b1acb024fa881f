"""What every port raises when what is behind it is away for a moment."""


class Unavailable(Exception):
    """Something cannot be reached, read or written just now; the same call can be tried again. Says what."""
