"""`ontrack serve`: one service of the distributed home."""

from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from services.cli.home import Failure
from services.runtime.refusals import SettingsWrong

SERVICES: Final = MappingProxyType(
    {
        "ingest": "services.ingest.app",
        "scoring": "services.scoring.app",
        "not-detector": "services.not_detector.app",
        "notifier": "services.notifier.app",
        "mailer": "services.mailer.app",
        "auditor": "services.auditor.app",
    }
)


@click.command("serve", context_settings={"token_normalize_func": lambda name: name.replace("_", "-")})
@click.argument("name", type=click.Choice(list(SERVICES)))
def serve(name: str) -> None:
    """Run one service of a region, until it is told to end.

    Everything is set by the environment: ONTRACK_KAFKA_SERVERS, ONTRACK_MONGODB_URL, ONTRACK_MASTER_KEY_FILE and
    more, listed in docs/settings.md. Any number of each service may run. How it is stands at /alive, /ready and
    /metrics of ONTRACK_HTTP_PORT.

    Example: ONTRACK_HTTP_PORT=8081 ontrack serve scoring
    """
    try:
        import_module(SERVICES[name]).run()
    except SettingsWrong as wrong:
        raise Failure(str(wrong)) from None
