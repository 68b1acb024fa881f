"""The service: the stage, put on its log and its store. The only place of this service that wires."""

from services.notifier.domain.stage import Notifier
from services.notifier.settings import NotifierSettings
from services.runtime.environment import settings_of
from services.runtime.service import Service


def run() -> None:
    """Serve until the process is told to end. Raises SettingsWrong."""
    Service(settings_of(NotifierSettings), Notifier).run()
