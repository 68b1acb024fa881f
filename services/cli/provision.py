"""`ontrack provision`: what a region stands on."""

from pathlib import Path

import click

from services.cli.home import Failure, run
from services.cli.log_import import founding_of
from services.cli.output import counted, say
from services.distributed import Provisioned, provision
from services.runtime.log.topics import Safety
from services.runtime.logs import hush
from services.runtime.refusals import SettingsWrong
from services.runtime.settings import RegionSettings, settings_of


@click.command("provision")
@click.option("--replication", type=click.IntRange(1), default=3, show_default=True, help="Copies of every record.")
@click.option(
    "--min-insync",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Copies that must be there before a record is acknowledged.",
)
@click.option(
    "--single-broker",
    is_flag=True,
    help="For a cluster of one broker: one copy, and every message flushed to its disk.",
)
@click.option(
    "--log",
    "exported",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Found the log under the identity of an exported one, so that ontrack import DIR can fill it.",
)
def provision_(replication: int, min_insync: int, single_broker: bool, exported: Path | None) -> None:
    """Make the topics, the indexes, the master key and the definitions of a region, as far as they are not there.

    What is there and does not fit is named and left alone. Where the servers are is set by the environment; see
    ontrack serve --help.

    Example: ontrack provision --single-broker
    """
    if min_insync > replication:
        raise Failure(f"--min-insync {min_insync}: at most --replication ({replication}) was expected")
    safety = Safety(1, 1, flushed=True) if single_broker else Safety(replication, min_insync)
    try:
        settings = settings_of(RegionSettings)
    except SettingsWrong as wrong:
        raise Failure(str(wrong)) from None
    hush()
    founding = [] if exported is None else founding_of(exported)
    _tell(run(provision(settings, safety, founding=founding)), settings.master_key_file)


def _tell(done: Provisioned, key: Path) -> None:
    for name in done.topics:
        say(f"Made the topic {name}.")
    if done.has_new_key:
        say(f"Made the master key {key}. Keep a copy of it elsewhere: without it nothing can be read.")
    if done.is_founded:
        say("Founded the log.")
    if done.definitions:
        say(f"Published {counted(done.definitions, 'definition')}.")
    if not (done.topics or done.is_founded or done.definitions):
        say("Everything is there.")
