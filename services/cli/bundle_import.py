"""A home made of a bundle: its log as it stood, and the stages that have read all of it again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contracts.topics import DEFINITIONS, Topic
from services.auditor.bundle import CANONICAL, Bundle, BundleUnusable, Manifests, unlike
from services.auditor.definitions import of_definitions
from services.auditor.replay import History
from services.auditor.verify import verified
from services.cli.audit.shelf import shelf
from services.cli.audit.source import Exported, stages_on, told, unpacked
from services.cli.home import FINDING, Failure
from services.cli.log_import import Imported, founding_of, import_log_into
from services.cli.output import counted, progress
from services.cli.place import Region
from services.cli.scratch import scratch
from services.cli.workplace import moved, require_empty, workplace

_GOES = "a bundle goes into an empty directory"


async def import_bundle(file: Path, directory: Path, keys: Path | None, *, dry_run: bool) -> str:
    """Make a home of a bundle, in an empty directory, if it verifies; say what was taken. Raises Failure."""
    require_empty(directory, _GOES)
    with workplace(directory, dry_run=dry_run) as work:
        manifests = await _made(file, work, keys)
        if not dry_run:
            moved(work, directory, _GOES)
    return f"{counted(manifests.raw.records, 'record')} of {counted(manifests.canonical.cases, 'case')}"


async def import_bundle_into(region: Region, file: Path, keys: Path | None, *, dry_run: bool) -> Imported:
    """Take the facts of a bundle into a region that was provisioned for it, if it verifies. Raises Failure."""
    with scratch("ontrack-verified-") as work:
        await _made(file, work, keys)
    with _canonical(file, CANONICAL) as folder, progress("Importing", None) as advance:
        return await import_log_into(region, folder, keys, advance, dry_run=dry_run, named=file)


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


async def _made(file: Path, work: Path, keys: Path | None) -> Manifests:
    """Make a home of a bundle, if it verifies. Raises Failure."""
    async with unpacked(Exported(file, keys), work) as (manifests, ports, keyless, misnamed):
        if misnamed:
            whose = counted(len(misnamed), "case")
            raise Failure(f"{keys}: the keys of {whose} are others than theirs. Nothing was taken", FINDING)
        if keyless:
            whose = counted(len(keyless), "case")
            raise Failure(f"the keys of {whose} more were expected: --keys FILE. Nothing was taken")
        log_id, stages = manifests.raw.log, await stages_on(ports)
        async with shelf() as empty:
            with progress("Verifying", None) as advance:
                found = await verified(History(ports.log, ports.keyring, log_id, stages), empty, advance)
        found.findings.add_all(await unlike(manifests, ports.log))
        found.findings.add_all([each async for each in of_definitions(ports.log)])
        if wrong := found.findings.counts.total():
            which = f"{counted(wrong, 'finding')}; ontrack audit verify --bundle {file} --keys {keys} tells which"
            raise Failure(f"the history does not verify, nothing was taken: {which}", FINDING)
        for stage in stages:
            await told(stage, ports, log_id)
    return manifests
