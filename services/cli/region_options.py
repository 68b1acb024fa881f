"""How a region is made, as whoever provisions or restores one says it: copies of records, and users."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from services.cli.home import Failure
from services.runtime.log.topics import Safety

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def safety_options(command: CommandT) -> CommandT:
    """Let a command be told how often every record is kept."""
    for option in (_SINGLE_BROKER, _MIN_INSYNC, _REPLICATION):
        command = option(command)
    return command


_REPLICATION = click.option(
    "--replication", type=click.IntRange(1), default=3, show_default=True, help="Copies of every record."
)
_MIN_INSYNC = click.option(
    "--min-insync",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Copies that must be there before a record is acknowledged.",
)
_SINGLE_BROKER = click.option(
    "--single-broker",
    is_flag=True,
    help="For a cluster of one broker: one copy, and every message flushed to its disk.",
)


def safety_of(replication: int, min_insync: int, *, single_broker: bool) -> Safety:
    """Give what was asked for. Raises Failure."""
    if min_insync > replication:
        raise Failure(f"--min-insync {min_insync}: at most --replication ({replication}) was expected")
    return Safety(1, 1, flushed=True) if single_broker else Safety(replication, min_insync)


users_option = click.option(
    "--users",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Let in the users whose passwords are in DIR, a folder of ontrack secrets, each with the rights it needs.",
)
