"""What is set from outside for `ontrack serve scoring`."""

from services.runtime.settings import ServiceSettings


class ScoringSettings(ServiceSettings):
    """The settings of this service."""
