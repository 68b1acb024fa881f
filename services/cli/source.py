"""What is audited: a home, or a bundle of one that was exported."""

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from click.core import ParameterSource

from contracts.definitions.catalogue import Catalogue
from contracts.topics import PARTITIONS, TOPICS
from services.auditor.bundle import Bundle, BundleUnusable, Manifests
from services.auditor.domain.narrowing import Part
from services.auditor.narrowed import Narrowed
from services.auditor.replay import History
from services.cli.case_keys import but_erased, keys_in, misnamed, persons_in, take_keys
from services.cli.home import FINDING, Failure
from services.cli.output import counted, progress, say
from services.cli.place import Place, opened, optional_data_option, required
from services.cli.scratch import scratch
from services.cli.zone import clinic_zone
from services.embedded import MASTER_KEY, EmbeddedHome, empty_home
from services.home import Home, Ports, Stages
from services.ingest.zones import Zones
from services.runtime.erasures import said_on
from services.runtime.export import cases_on
from services.runtime.founding import Founding
from services.runtime.keyring.master import MasterKey
from services.runtime.log.port import Log
from services.runtime.log.sqlite import SqliteLog
from services.runtime.rebuild import rebuild
from services.runtime.stage import Stage

_PLACE: Final = "place"
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle in a file, and the file with the keys of its cases, if there is one. option: by which that is named."""

    file: Path
    keys: Path | None
    option: str = "--keys"


Source = Place | Exported


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command work on a data directory, a region, or a bundle; it is given which as `source`."""

    @optional_data_option
    @click.option(
        "--bundle",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="Or a bundle, as ontrack audit export makes it.",
    )
    @click.option(
        "--keys",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="The file with the keys of the cases of the bundle; what it lacks stays sealed.",
    )
    @functools.wraps(command)
    def chosen(*args: object, place: Place | None, bundle: Path | None, keys: Path | None, **others: object) -> None:
        if bundle is None and keys is not None:
            raise Failure("--keys: these are the keys of a bundle; name that with --bundle FILE")
        if bundle is None:
            command(*args, source=required(place, "a bundle: --bundle FILE"), **others)
            return
        if click.get_current_context().get_parameter_source(_PLACE) is ParameterSource.COMMANDLINE:
            raise Failure("either --data or --bundle was expected")
        command(*args, source=Exported(bundle, keys), **others)

    return chosen


class Unpacked(EmbeddedHome):
    """A bundle as a home, in a place of its own that goes when it is closed.

    Its stages know nothing, but for those that were told to look.

    folder: that place; manifests: what the bundle says of itself; keyless: the cases whose keys were not given
    misnamed: those of them for which another key was given
    """

    manifests: Manifests
    keyless: frozenset[str]
    misnamed: frozenset[str]
    folder: ExitStack

    async def close(self) -> None:
        """Let go of it, and remove it."""
        await super().close()
        self.folder.close()


class Contents(NamedTuple):
    """What a bundle was unpacked to: what it says of itself, the ports of a home, and the cases without a key.

    misnamed: those of them for which another key was given
    """

    manifests: Manifests
    ports: Ports
    keyless: frozenset[str]
    misnamed: frozenset[str]


async def audited(source: Source, *, knows_cases: bool = False) -> Home:
    """Open what is audited, to be read. knows_cases: whether it has to be known how each case stands.

    Raises what opening such a home raises, and Failure.
    """
    if not isinstance(source, Exported):
        return await opened(source)
    if knows_cases and source.keys is None:
        raise Failure(
            f"what is known of cases is sealed in {source.file}: name the file with their keys: {source.option} FILE"
        )
    with ExitStack() as folder:
        work = folder.enter_context(scratch("ontrack-bundle-"))
        async with unpacked(source, work) as (manifests, ports, keyless, misnamed):
            for number, why in ((len(keyless - misnamed), "not in it"), (len(misnamed), "others than theirs")):
                if source.keys is not None and number:
                    those = f"{number:,} of {counted(manifests.canonical.cases, 'case')}"
                    say(f"{source.keys}: the keys of {those} are {why}: what is said of these stays sealed.")
            if knows_cases:
                await told(stages_by(await definitions_on(ports.log)).register, ports, manifests.raw.log)
        home = await Unpacked.open(work, zone=clinic_zone())
        home.manifests, home.keyless, home.misnamed = manifests, keyless, misnamed
        home.folder = folder.pop_all()
    return home


async def history_of(source: Source, home: Home, part: Part | None = None) -> History:
    """Give the history of what is audited. Where no mail was ever sent, nothing is known of mail.

    part: only that of it
    """
    is_whole = part is None or part.is_whole
    log: Log = home.log if part is None or is_whole else Narrowed(home.log, part)
    of_home = History(log, home.keyring, home.log_id, home.stages, definitions=home.definitions, is_whole=is_whole)
    if isinstance(source, Exported):
        return replace(of_home, has_all_keys=False)
    mails = bool(await home.store.positions(home.mailbags.name, range(PARTITIONS)))
    stages = [*home.stages, *([home.mailbags] if mails else [])]
    return replace(of_home, stages=stages, store=home.store)


@asynccontextmanager
async def unpacked(exported: Exported, directory: Path) -> AsyncIterator[Contents]:
    """Make a home of a bundle, in an empty directory; its stages know nothing yet. Raises Failure.

    Of the keys that are given it takes those of its cases: nothing of others may be told here.
    """
    master = MasterKey.create(directory / MASTER_KEY)
    with empty_home(directory, master) as ports:
        try:
            with Bundle.opened(exported.file) as bundle:
                manifests = bundle.manifests
                bundle.require_canonical()
                with progress("Unpacking", manifests.raw.records) as advance:
                    _put_back(bundle, ports, advance)
        except BundleUnusable as unusable:
            raise Failure(str(unusable), FINDING) from None
        cases = await cases_on(ports.log)
        keys = {case_id: key for case_id, key in keys_in(exported.keys).items() if case_id in cases}
        if exported.keys is not None and cases and not keys:
            raise Failure(f"{exported.keys}: the key of no case of {exported.file} is in it: it is of another bundle")
        others = await misnamed(ports.log, keys)
        keys = {case_id: key for case_id, key in keys.items() if case_id not in others}
        if others and not keys:
            raise Failure(
                f"{exported.keys}: no key in it is that of its case in {exported.file}: one of the two was changed, or "
                "they do not belong together"
            )
        await take_keys(ports.keyring, but_erased(keys, await said_on(ports.log)))
        persons = persons_in(exported.keys)
        await ports.people.enter({case_id: person for case_id, person in persons.items() if case_id in keys})
        yield Contents(manifests, ports, frozenset(cases - keys.keys()), others)


async def told(stage: Stage[Any], ports: Ports, log_id: str) -> None:
    """Let a stage learn what the log says."""
    total = sum([await ports.log.end(stage.reads, number) for number in range(stage.reads.partitions)])
    with progress(f"Reading the log ({stage.name})", total) as advance:
        await rebuild(stage, ports.log, ports.store, ports.keyring, log_id, advance)


async def definitions_on(log: Log) -> Catalogue:
    """Give the definitions that are on a log."""
    founding = Founding(log)
    await founding.learn()
    return founding.definitions


def stages_by(definitions: Catalogue) -> Stages:
    """Give the stages of a bundle, with these definitions."""
    return Stages.by(definitions, Zones(clinic_zone()))


def _put_back(bundle: Bundle, ports: Ports, advance: Callable[[int], None]) -> None:
    if not isinstance(ports.log, SqliteLog):
        raise TypeError("an embedded home has its log in a file")
    for topic in TOPICS.values():
        for number in range(topic.partitions):
            records = bundle.records(topic, number)
            while some := list(islice(records, _AT_ONCE)):
                ports.log.put_back(topic, number, some)
                advance(len(some))
