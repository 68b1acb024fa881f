"""What is checked of a region: its servers, what they keep and how, and the services."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from contracts.topics import TOPICS
from services.cli.checks.checked import Checked, certificate, clock, disk, ill, unknown, well
from services.cli.checks.of_home import of_home
from services.cli.output import counted
from services.distributed import DistributedHome
from services.runtime.brokers import Brokers, why_away
from services.runtime.documents import Documents, told_as
from services.runtime.faults import StageStopped
from services.runtime.keyring.master import MasterKeyUnusable
from services.runtime.log.topics import Cluster, Copies
from services.runtime.refusals import NotAHome, TopicsUnfit
from services.runtime.settings import RegionSettings
from services.runtime.store.port import StoreUnavailable
from services.runtime.unavailable import Unavailable

ANSWERS_WITHIN: Final = 5.0
"""Seconds within which a server shows its certificate."""

OLDEST: Final = {(8, 0): 17, (8, 2): 3}
"""MongoDB's releases without CVE-2025-14847, and from which patch on; what is newer than all of them has none of it."""

_RENEW: Final = "replace it, and start the server again; docs/clinic-it.md says how"


async def of_region(settings: RegionSettings, now: datetime) -> AsyncIterator[Checked]:
    """Check a region. What cannot be reached is a finding, and what stands behind it is not checked then."""
    can_be_opened = True
    async for each in _of_log(settings.brokers()):
        can_be_opened = can_be_opened and (each.verdict != "finding" or each.what not in ("brokers", "topics"))
        yield each
    async for each in _of_database(settings):
        can_be_opened = can_be_opened and (each.verdict != "finding" or each.what != "database")
        yield each
    if not can_be_opened:
        yield unknown("services", "not checked: the log or the database has to be right first")
        return
    try:
        async with await DistributedHome.open(settings) as home:
            yield await _services(home)
            async for each in of_home(home, now):
                yield each
    except (NotAHome, MasterKeyUnusable, StageStopped, Unavailable) as wrong:
        yield ill("region", "it cannot be opened", str(wrong))


async def _of_log(brokers: Brokers) -> AsyncIterator[Checked]:
    cluster = Cluster(brokers)
    try:
        servers = await cluster.servers()
    except Unavailable as unavailable:
        yield ill("brokers", "none can be used", str(unavailable))
        return
    away = {server: why for server in servers if (why := await why_away(replace(brokers, servers=server)))}
    answer = f"{len(servers) - len(away)} of {len(servers)} answer"
    yield ill("brokers", answer, "; ".join(away.values())) if away else well("brokers", answer)
    async for each in _certificates("broker", [server for server in servers if server not in away], brokers.tls):
        yield each
    try:
        await cluster.require_topics(TOPICS.values())
    except TopicsUnfit as unfit:
        yield ill("topics", "not as the table says", str(unfit))
        return
    yield well("topics", f"{len(TOPICS)} are there, as the table says")
    yield _copies(await cluster.copies())


def _copies(found: Sequence[Copies]) -> Checked:
    """Judge whether an acknowledged record outlives the loss of a broker, and of power."""
    behind = [each.topic for each in found if each.in_sync < each.copies]
    alone = [each.topic for each in found if each.copies == 1 and not each.flushed]
    trusting = [each.topic for each in found if each.copies > 1 and each.min_insync < _MAJORITY]
    if alone:
        return ill(
            "copies",
            f"one broker keeps {_named(alone)} and does not flush each message: a power cut loses answers",
            "set flush.messages=1 on these topics, or use three brokers",
        )
    if trusting:
        return ill(
            "copies",
            f"what only one broker has is acknowledged, on {_named(trusting)}",
            "set min.insync.replicas=2 on these topics",
        )
    if behind:
        return ill(
            "copies",
            f"not every copy of {_named(behind)} has everything",
            "see whether all brokers run; after a start it takes a while until they have caught up",
        )
    copies = min(each.copies for each in found)
    return well("copies", f"{counted(copies, 'copy') if copies == 1 else f'{copies} copies'} of everything, in step")


def _named(topics: Sequence[str]) -> str:
    """Name some topics; of many, two."""
    names = sorted(topics)
    return ", ".join(names) if len(names) <= _FEW else f"{', '.join(names[:2])} and {len(names) - 2} more topics"


_FEW: Final = 3
_MAJORITY: Final = 2


async def _of_database(settings: RegionSettings) -> AsyncIterator[Checked]:
    server = settings.server()
    context = ssl.create_default_context(cafile=server.ca_file) if server.tls else None
    async with Documents(server) as documents:
        try:
            with told_as(StoreUnavailable):
                about, ours = await documents.about(), datetime.now(UTC)
        except Unavailable as away:
            yield ill("database", "it cannot be used", str(away))
            return
    name = "FerretDB" if about.is_ferretdb else f"MongoDB {about.version}"
    if about.is_ferretdb:
        yield well("database", f"{name}, which stands in for MongoDB in tests")
    elif _is_old(about.version):
        yield ill("database", f"{name} has a known hole (CVE-2025-14847)", "upgrade to 8.0.17, 8.2.3 or newer")
    else:
        yield well("database", f"{name}, {'alone' if not about.members else f'{about.members} in its replica set'}")
    yield clock("clock of the database", about.time.astimezone(UTC), ours)
    if about.disk is None:
        yield unknown("disk of the database", "it does not say how full it is: watch it on its machine")
    else:
        yield disk("disk of the database", *about.disk, "make room there: no state can be written on a full disk")
    hosts = urlsplit(server.url).netloc.split(",")
    async for each in _certificates("database", hosts, context):
        yield each


def _is_old(version: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return False
    major, minor, patch = map(int, numbers.groups())
    wanted = OLDEST.get((major, minor))
    return (major, minor) < max(OLDEST) if wanted is None else patch < wanted


async def _services(home: DistributedHome) -> Checked:
    idle = await home.idle()
    if not idle:
        return well("services", "each is run")
    names = ", ".join("ingest" if stage == home.register.name else stage.replace("_", "-") for stage in idle)
    first, *_ = names.split(", ")
    return ill("services", f"nobody runs {names}", f"start what is not run, such as: ontrack serve {first}")


async def _certificates(what: str, servers: Sequence[str], context: ssl.SSLContext | None) -> AsyncIterator[Checked]:
    """Look how long the certificates of servers hold."""
    if context is None:
        return
    for server in servers:
        name = f"{what} {server}"
        try:
            expires = await _expires(server, context)
        except (OSError, TimeoutError) as failed:
            yield unknown(name, f"it shows no certificate ({type(failed).__name__})")
        else:
            yield certificate(name, expires, datetime.now(UTC), _RENEW)


async def _expires(server: str, context: ssl.SSLContext) -> datetime:
    host, _, port = server.rpartition(":")
    async with asyncio.timeout(ANSWERS_WITHIN):
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
        shown = writer.get_extra_info("peercert")
        writer.close()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
