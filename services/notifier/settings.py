"""What is set from outside for `ontrack serve notifier`."""

from services.runtime.settings import ServiceSettings


class NotifierSettings(ServiceSettings):
    """The settings of this service."""
