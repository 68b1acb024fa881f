"""The commands of `ontrack audit`."""

import click

from services.cli.audit.diff import diff
from services.cli.audit.export import export
from services.cli.audit.history import history
from services.cli.audit.loop import loop
from services.cli.audit.replay import replay
from services.cli.audit.seal import check_proof, key, prove, seal
from services.cli.audit.verify import verify
from services.cli.audit.why import why


@click.group("audit")
def audit() -> None:
    """Look whether a history is whole and right, and what led to what.

    Example: ontrack audit verify --data DIR
    """


for command in (verify, replay, why, history, diff, loop, export, key, seal, prove, check_proof):
    audit.add_command(command)
