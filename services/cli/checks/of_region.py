"""What is checked of a region: its servers, what they keep and how, and the services."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from cryptography.x509 import load_der_x509_certificate

from contracts.topics import TOPICS
from services.cli.checks.checked import Check, Checked, certificate, clock, disk, ill, looked, unknown, well
from services.cli.checks.of_home import of_home
from services.cli.output import counted
from services.distributed import DistributedHome
from services.mailer.domain.mailbag import Mailbags
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

_MONGODB_PORT: Final = 27_017
_HTTPS_PORT: Final = 443
_RENEW: Final = "replace it, and start the server again; docs/clinic-it.md says how"


async def of_region(settings: RegionSettings, *, sends_mail: bool) -> AsyncIterator[Checked]:
    """Check a region. What cannot be reached is a finding, and what stands behind it is not checked then."""
    found: list[Checked] = []
    for check in (_of_log(settings.brokers()), _of_database(settings)):
        async for each in check:
            found.append(each)
            yield each
    wrong = {each.what for each in found if each.verdict == "finding"}
    if wrong & {"brokers", "topics", "database"}:
        yield unknown("services", "not checked: the log and the database have to be right first")
        return
    try:
        home = await DistributedHome.open(settings)
    except (NotAHome, MasterKeyUnusable, StageStopped, Unavailable) as failed:
        yield ill("region", f"it cannot be opened: {failed}", "mend that, and check again")
        return
    async with home:
        for look in (
            Check("services", lambda: _services(home, sends_mail=sends_mail)),
            *of_home(home, sends_mail=sends_mail),
        ):
            yield await looked(look)


async def of_api(url: str) -> AsyncIterator[Checked]:
    """Check where clients ask: that somebody answers there, and how long the certificate holds that they see."""
    said = urlsplit(url)
    server = f"{said.hostname}:{said.port or _HTTPS_PORT}"
    if not await _listens(server):
        yield ill("API", f"nothing listens at {server}", "start ingest, or see what keeps it from starting")
        return
    yield well("API", f"it listens at {server}")
    async for each in _certificates("API", [server], said.scheme == "https"):
        yield each


async def _of_log(brokers: Brokers) -> AsyncIterator[Checked]:
    cluster = Cluster(brokers)
    try:
        servers = await cluster.servers()
        away = {server: why for server in servers if (why := await why_away(replace(brokers, servers=server)))}
    except Unavailable as unavailable:
        yield ill("brokers", str(unavailable), "mend that, and check again")
        return
    if len(away) == len(servers):
        yield ill("brokers", f"none of {len(servers)} can be used: {'; '.join(away.values())}", "start them")
        return
    if away:
        why = f"{len(away)} of {len(servers)} cannot be used: {'; '.join(away.values())}"
        yield ill("brokers that are away", why, "start them; with two of three away nothing is recorded any more")
    yield well("brokers", f"{len(servers) - len(away)} of {len(servers)} answer")
    yield unknown("machines of the brokers", "Kafka does not tell its version, disk and clock: watch them there")
    async for each in _certificates("broker", servers, brokers.tls):
        yield each
    yield await looked(Check("topics", lambda: _topics(cluster)))
    yield await looked(Check("copies", lambda: _kept(cluster)))


async def _topics(cluster: Cluster) -> Checked:
    try:
        await cluster.require_topics(TOPICS.values())
    except TopicsUnfit as unfit:
        return ill("topics", str(unfit), "docs/operation.md says of each what mends it")
    return well("topics", f"{len(TOPICS)} are there, as the table says")


async def _kept(cluster: Cluster) -> Checked:
    return _copies(await cluster.copies())


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
    copies = min((each.copies for each in found), default=0)
    return well("copies", f"{counted(copies, 'copy') if copies == 1 else f'{copies} copies'} of everything, in step")


def _named(topics: Sequence[str]) -> str:
    """Name some topics; of many, two."""
    names = sorted(topics)
    return ", ".join(names) if len(names) <= _FEW else f"{', '.join(names[:2])} and {len(names) - 2} more topics"


_FEW: Final = 3
_MAJORITY: Final = 2


async def _of_database(settings: RegionSettings) -> AsyncIterator[Checked]:
    server = settings.server()
    async with Documents(server) as documents:
        try:
            with told_as(StoreUnavailable):
                about, ours = await documents.about(), datetime.now(UTC)
        except Unavailable as away:
            yield ill("database", str(away), "mend that, and check again")
            return
    name = "FerretDB" if about.is_ferretdb else f"MongoDB {about.version}"
    if about.is_ferretdb:
        yield well("database", f"{name}, which stands in for MongoDB in tests")
    elif _is_old(about.version):
        yield ill("database", f"{name} has a known hole (CVE-2025-14847)", "upgrade to 8.0.17, 8.2.3 or newer")
    else:
        yield well("database", f"{name}, {'alone' if not about.members else f'a replica set of {len(about.members)}'}")
    if about.members:
        yield await looked(Check("members of the database", lambda: _members(about.members)))
    yield clock("clock of the database", about.time.astimezone(UTC), ours)
    if about.disk is None:
        yield unknown("disk of the database", "it does not say how full it is: watch it on its machine")
    else:
        yield disk("disk of the database", *about.disk, "make room there: no state can be written on a full disk")
    hosts = urlsplit(server.url).netloc.split(",")
    async for each in _certificates("database", hosts, server.tls):
        yield each


async def _members(hosts: Sequence[str]) -> Checked:
    what = "members of the database"
    away = [host for host in hosts if not await _listens(host)]
    if away:
        why = f"{len(away)} of {len(hosts)} cannot be reached: {', '.join(away)}"
        return ill(what, why, "start them; without a majority nothing is written any more")
    return well(what, f"{len(hosts)} of {len(hosts)} listen")


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":") if ":" in server else (server, "", str(_MONGODB_PORT))
    return host.strip("[]"), int(port)


async def _listens(server: str) -> bool:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            _, writer = await asyncio.open_connection(*_address(server))
            writer.close()
    except OSError:
        return False
    return True


def _is_old(version: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return False
    major, minor, patch = map(int, numbers.groups())
    wanted = OLDEST.get((major, minor))
    return (major, minor) < max(OLDEST) if wanted is None else patch < wanted


async def _services(home: DistributedHome, *, sends_mail: bool) -> Checked:
    # Where mail waits that nobody sends, that is a finding of its own.
    idle = [stage for stage in await home.idle() if sends_mail or stage != Mailbags.name]
    if not idle:
        return well("services", "each is run" if sends_mail else "each is run; of the mailer it is not known")
    names = ", ".join("ingest" if stage == home.register.name else stage.replace("_", "-") for stage in idle)
    first, *_ = names.split(", ")
    return ill("services", f"nobody runs {names}", f"start what is not run, such as: ontrack serve {first}")


async def _certificates(what: str, servers: Sequence[str], tls: object) -> AsyncIterator[Checked]:
    """Look how long the certificates of servers hold, where there are any."""
    for server in servers if tls else ():
        name = f"{what} {server}"
        try:
            expires = await _expires(server)
        except (OSError, TimeoutError) as failed:
            yield ill(name, f"it shows no certificate ({type(failed).__name__})", "see whether it runs, and speaks TLS")
        else:
            yield certificate(name, expires, datetime.now(UTC), _RENEW)


async def _expires(server: str) -> datetime:
    """Read until when a server's certificate holds, also one that nobody would trust: nothing is told to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(ANSWERS_WITHIN):
        _, writer = await asyncio.open_connection(*_address(server), ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    return load_der_x509_certificate(shown).not_valid_after_utc
