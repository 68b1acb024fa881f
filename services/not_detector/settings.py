"""What is set from outside for `ontrack serve not-detector`."""

from services.runtime.settings import ServiceSettings


class NotDetectorSettings(ServiceSettings):
    """The settings of this service."""
