"""The service: the stage, put on its log and its store. The only place of this service that wires."""

from services.not_detector.domain.stage import NotDetector
from services.not_detector.settings import NotDetectorSettings
from services.runtime.environment import settings_of
from services.runtime.service import Service


def run() -> None:
    """Serve until the process is told to end. Raises SettingsWrong."""
    Service(settings_of(NotDetectorSettings), NotDetector).run()
