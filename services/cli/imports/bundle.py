"""A home made of a bundle: its log as it stood, and the stages that have read all of it again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from contracts.topics import DEFINITIONS, Topic
from services.auditor.bundle import CANONICAL, Bundle, BundleUnusable
from services.auditor.bundling import unlike
from services.auditor.definitions import of_definitions, where_nothing_is_said
from services.auditor.replay import History
from services.auditor.seals import of_seals
from services.auditor.verify import verified
from services.cli.home import FINDING, Failure
from services.cli.imports.log import Imported, founding_of, import_log_into
from services.cli.output import counted, progress
from services.cli.place import Region
from services.cli.scratch import scratch
from services.cli.shelf import shelf
from services.cli.source import Exported, definitions_on, stages_by, told, unpacked
from services.cli.workplace import moved, require_empty, workplace
from services.runtime.erasures import erasures

_GOES = "a bundle goes into an empty directory"


class Taken(NamedTuple):
    """What a home was made of. says: how much; unsaid: the cases of which the key is destroyed, and nobody says why."""

    says: str
    unsaid: Sequence[str]


async def import_bundle(file: Path, directory: Path, keys: Path | None, *, dry_run: bool) -> Taken:
    """Make a home of a bundle, in an empty directory, if all verifies that can be read. Raises Failure."""
    require_empty(directory, _GOES)
    with workplace(directory, dry_run=dry_run) as work:
        taken = await _made(file, work, keys)
        if not dry_run:
            moved(work, directory, _GOES)
    return taken


async def import_bundle_into(region: Region, file: Path, keys: Path | None, *, dry_run: bool) -> tuple[Taken, Imported]:
    """Take the facts of a bundle into a region that was provisioned for it, if all verifies that can be read.

    Raises Failure.
    """
    with scratch("ontrack-verified-") as work:
        taken = await _made(file, work, keys)
    with _canonical(file, CANONICAL) as folder, progress("Importing", None) as advance:
        return taken, await import_log_into(region, folder, keys, advance, dry_run=dry_run, named=file)


def founding_in(source: Path) -> list[bytes]:
    """Read what an exported log, or a bundle, says of itself. Raises Failure."""
    if source.is_dir():
        return founding_of(source)
    with _canonical(source, [DEFINITIONS]) as folder:
        return founding_of(folder)


@contextmanager
def _canonical(file: Path, topics: Sequence[Topic]) -> Iterator[Path]:
    """Give the canonical part of a bundle, or some topics of it, as an exported log. Raises Failure."""
    with scratch("ontrack-bundle-") as folder:
        try:
            with Bundle.opened(file) as bundle:
                bundle.extract_canonical(folder, topics)
        except BundleUnusable as unusable:
            raise Failure(str(unusable), FINDING) from None
        yield folder


async def _made(file: Path, work: Path, keys: Path | None) -> Taken:
    """Make a home of a bundle, if all verifies that can be read. Raises Failure."""
    async with unpacked(Exported(file, keys), work) as (manifests, ports, keyless, misnamed):
        if misnamed:
            whose = counted(len(misnamed), "case")
            raise Failure(f"{keys}: the keys of {whose} are others than theirs. Nothing was taken", FINDING)
        if keyless:
            whose = counted(len(keyless), "case")
            raise Failure(f"the keys of {whose} more were expected: --keys FILE. Nothing was taken")
        log_id, definitions = manifests.raw.log, await definitions_on(ports.log)
        stages = stages_by(definitions)
        history = History(ports.log, ports.keyring, log_id, stages, definitions=definitions)
        async with shelf() as empty:
            with progress("Verifying", None) as advance:
                found = await verified(history, empty, advance)
        found.findings.add_all(await unlike(manifests, ports.log))
        found.findings.add_all([each async for each in of_definitions(ports.log)])
        found.findings.add_all([each async for each in where_nothing_is_said(ports.log)])
        found.findings.add_all((await of_seals(ports.log, ports.keyring, log_id, behind=())).findings)
        if wrong := found.findings.counts.total():
            which = f"{counted(wrong, 'finding')}; ontrack audit verify --bundle {file} --keys {keys} tells which"
            raise Failure(f"the history does not verify, nothing was taken: {which}", FINDING)
        unsaid = sorted(found.unsaid(await erasures(ports.log, ports.keyring)))
        for stage in stages:
            await told(stage, ports, log_id)
    records, cases = manifests.raw.records, manifests.canonical.cases
    return Taken(f"{counted(records, 'record')} of {counted(cases, 'case')}", unsaid)
