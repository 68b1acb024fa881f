"""`ontrack provision`: what a region stands on."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import click

from services.cli.home import in_words, run
from services.cli.imports.bundle import founding_in
from services.cli.output import counted, say
from services.cli.region_options import safety_of, safety_options, users_option
from services.distributed import Provisioned, provision
from services.runtime.environment import region_settings
from services.runtime.logs import hush
from services.runtime.refusals import BrokersMissing
from services.runtime.unavailable import Unavailable
from services.users import let_in, passwords_in

TRY_AGAIN: Final = 1.0


@click.command("provision")
@safety_options
@click.option(
    "--log",
    "exported",
    metavar="PATH",
    type=click.Path(path_type=Path, exists=True),
    help="Found the log under the identity of an exported one, or of a bundle, for ontrack import PATH to fill it.",
)
@users_option
@click.option("--wait", type=click.IntRange(0), default=0, metavar="SECONDS", help="Try so long until servers answer.")
def provision_(
    replication: int, min_insync: int, single_broker: bool, exported: Path | None, users: Path | None, wait: int
) -> None:
    """Make the topics, the indexes, the master key and the definitions of a region, as far as they are not there.

    What is there and does not fit is named and left alone. Where the servers are is set by the environment; see
    ontrack serve --help. With --users it lets the services in at the servers, and makes the database a replica set if
    ONTRACK_MONGODB_URL names one.

    Example: ontrack provision --single-broker
    """
    safety = safety_of(replication, min_insync, single_broker=single_broker)
    with in_words():
        settings = region_settings()
        passwords = None if users is None else passwords_in(users)
    hush()
    founding = [] if exported is None else founding_in(exported)

    async def made() -> Provisioned:
        if passwords is not None:
            await let_in(settings, passwords)
        return await provision(settings, safety, founding=founding)

    done = run(_tried(made, wait))
    if passwords is not None:
        say(f"Let in {', '.join(passwords)}.")
    _tell(done, settings.master_key_file)


async def _tried(work: Callable[[], Coroutine[Any, Any, Provisioned]], seconds: float) -> Provisioned:
    """Try something again and again while servers are away, or too few; at least once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await work()
        except (Unavailable, BrokersMissing) as away:
            if time.monotonic() > deadline:
                raise
            say(f"{str(away).splitlines()[0]}. Trying again.")
        await asyncio.sleep(TRY_AGAIN)


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
