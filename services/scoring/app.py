"""The service: the stage, put on its log and its store. The only place of this service that wires."""

from services.runtime.environment import settings_of
from services.runtime.service import Service
from services.scoring.domain.stage import Scoring
from services.scoring.settings import ScoringSettings


def run() -> None:
    """Serve until the process is told to end. Raises SettingsWrong."""
    Service(settings_of(ScoringSettings), Scoring).run()
