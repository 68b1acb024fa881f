"""What is checked of a region: its servers, what they keep and how, and the services."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from contracts.topics import TOPICS
from services.cli.doctor.checked import Check, Checked, certificate, clock, disk, ill, looked, unknown, well
from services.cli.doctor.of_files import of_files
from services.cli.doctor.of_home import of_home
from services.cli.doctor.reached import expires, listens
from services.cli.doctor.servers import broker_disk, copies, database
from services.cli.sealing import Sealing
from services.distributed import DistributedHome
from services.mailer.domain.mailbag import Mailbags
from services.runtime.addresses import server_of
from services.runtime.brokers import Brokers, why_away
from services.runtime.documents import Documents, told_as
from services.runtime.faults import StageStopped
from services.runtime.keyring.master import MasterKeyUnusable
from services.runtime.log.disks import disk_of
from services.runtime.log.topics import Cluster
from services.runtime.refusals import NotAHome, TopicsUnfit
from services.runtime.settings import RegionSettings
from services.runtime.store.port import StoreUnavailable
from services.runtime.unavailable import Unavailable

_RENEW: Final = "replace it, and start the server again; deploy/README.md says how"


async def of_region(settings: RegionSettings, *, sends_mail: bool, sealing: Sealing) -> AsyncIterator[Checked]:
    """Check a region. What cannot be reached is a finding, and what stands behind it is not checked then."""
    found: list[Checked] = []
    for check in (of_files(settings), _of_log(settings.brokers()), _of_database(settings)):
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
            *of_home(home, sends_mail=sends_mail, sealing=sealing),
        ):
            yield await looked(look)


async def of_api(url: str) -> AsyncIterator[Checked]:
    """Check where clients ask: that somebody answers there, and how long the certificate holds that they see."""
    try:
        server = server_of(url)
    except ValueError:
        expected = "https://HOST:PORT was expected, or http:// where TLS ends elsewhere"
        yield ill("API", f"ONTRACK_INGEST_URL: {expected}", "mend this setting: nobody was asked")
        return
    if not await listens(server):
        yield ill("API", f"nothing listens at {server}", "start ingest, or see what keeps it from starting")
        return
    yield well("API", f"it listens at {server}")
    async for each in _certificates("API", [server], url.lower().startswith("https:")):
        yield each


async def _of_log(brokers: Brokers) -> AsyncIterator[Checked]:
    cluster = Cluster(brokers)
    try:
        servers, gone = await cluster.servers()
    except Unavailable as unavailable:
        yield ill("brokers", str(unavailable), "mend that, and check again")
        return
    whys = {server: await why_away(replace(brokers, servers=server)) for server in servers}
    away = [why for why in whys.values() if why]
    if len(away) == len(servers):
        why = f"none of {len(servers)} can be used: {'; '.join(away)}"
        yield ill(
            "brokers", why, "start them, and see that advertised.listeners names them as they are reached from here"
        )
        return
    number = len(servers) + len(gone)
    away += [f"broker {each} is to keep something, and is not there" for each in gone]
    if away:
        why = f"{len(away)} of {number} cannot be used: {'; '.join(away)}"
        yield ill("brokers that are away", why, "start them; with two of three away nothing is recorded any more")
    yield well("brokers", f"{number - len(away)} of {number} answer")
    # Kafka's protocol tells which requests and features a broker knows, which fit many releases, and a broker's time
    # only of what is written. No time that OnTrack keeps is a broker's.
    yield unknown("release and clock of the brokers", "Kafka tells neither: watch them on its machines")
    for server in (server for server, why in whys.items() if not why):
        what = f"disk of broker {server}"
        yield await looked(Check(what, partial(_disk, what, brokers, server)))
    async for each in _certificates("broker", servers, brokers.tls):
        yield each
    yield await looked(Check("topics", lambda: _topics(cluster)))
    yield await looked(Check("copies", lambda: _kept(cluster)))


async def _disk(what: str, brokers: Brokers, server: str) -> Checked:
    return broker_disk(what, await disk_of(brokers, server))


async def _topics(cluster: Cluster) -> Checked:
    try:
        await cluster.require_topics(TOPICS.values())
    except TopicsUnfit as unfit:
        return ill("topics", str(unfit), "docs/operation.md says of each what mends it")
    return well("topics", f"{len(TOPICS)} are there, as the table says")


async def _kept(cluster: Cluster) -> Checked:
    return copies(await cluster.copies())


async def _of_database(settings: RegionSettings) -> AsyncIterator[Checked]:
    server = settings.server()
    async with Documents(server) as documents:
        try:
            with told_as(StoreUnavailable):
                about, ours = await documents.about(), datetime.now(UTC)
        except Unavailable as away:
            yield ill("database", str(away), "mend that, and check again")
            return
    yield database(about)
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
    away = [host for host in hosts if not await listens(host)]
    if away:
        why = f"{len(away)} of {len(hosts)} cannot be reached: {', '.join(away)}"
        return ill(what, why, "start them; without a majority nothing is written any more")
    return well(what, f"{len(hosts)} of {len(hosts)} listen")


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
            until = await expires(server)
        except (OSError, TimeoutError) as failed:
            yield ill(name, f"it shows no certificate ({type(failed).__name__})", "see whether it runs, and speaks TLS")
        else:
            yield certificate(name, until, datetime.now(UTC), _RENEW)
