"""`ontrack provision`: what a region stands on."""

from pathlib import Path

import click

from services.cli.home import Failure, run
from services.cli.log_import import founding_of
from services.cli.output import counted, say
from services.cli.safety import safety_of, safety_options
from services.distributed import Provisioned, provision
from services.runtime.logs import hush
from services.runtime.refusals import SettingsWrong
from services.runtime.settings import RegionSettings, settings_of


@click.command("provision")
@safety_options
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
    safety = safety_of(replication, min_insync, single_broker=single_broker)
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
