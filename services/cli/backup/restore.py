"""`ontrack restore`: a home made of a backup."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click

from contracts.events.fields import instant
from contracts.topics import SCORES
from services.auditor.checkpoint import last_said
from services.cli.backup.file import destroyed_in, tokens_file, told, whole
from services.cli.copies import noted
from services.cli.home import Failure, run
from services.cli.output import counted, progress, say
from services.cli.place import Place, Region, data_option
from services.cli.private import new_file
from services.cli.region_options import safety_of, safety_options, users_option
from services.cli.token import FILE as TOKENS_FILE
from services.cli.workplace import moved, remove_left, require_empty, workplace
from services.cli.zone import clinic_zone
from services.embedded import MASTER_KEY, EmbeddedHome, empty_home, holds_database
from services.home import Home
from services.ingest.access import TOKENS
from services.runtime.backup.archive import Backup, Manifest
from services.runtime.backup.copies import copies_in, home_that_made, note_all
from services.runtime.backup.making import KEPT
from services.runtime.backup.restoring import is_as_in, put_back, tokens_in
from services.runtime.copies.file import COPIES, CopiesInFile
from services.runtime.copies.port import Copies, Copy
from services.runtime.erasures import erasures
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.port import Vault
from services.runtime.log.port import Log
from services.runtime.log.topics import Safety

_GOES: Final = f"a backup goes into a directory that holds {MASTER_KEY} and nothing else"
_OF_A_TRY: Final = (MASTER_KEY, TOKENS, COPIES)
"""What stands in a directory when a try was broken off while the home was moved there; and which copies are known."""


class Seen(NamedTuple):
    """What was seen in a home that was restored.

    is_sealed: whether a checkpoint stands on its log
    unsaid: the cases whose key is destroyed, and the log does not say that they were erased
    """

    is_sealed: bool
    unsaid: Sequence[str]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@data_option
@safety_options
@users_option
def restore(
    file: Path, place: Place, replication: int, min_insync: int, single_broker: bool, users: Path | None
) -> None:
    """Make a home of the backup FILE: in a directory that holds nothing but the master key, or in an empty region.

    FILE is checked before anything is written. Whatever followed from its facts is concluded again: by this command in
    a directory, by the services in a region. What was recorded after the backup is not in it. A region is made as by
    ontrack provision, which takes the same options; they mean nothing for a directory. One that was broken off is
    finished by the same command.

    Example: ontrack restore clinic.backup --data ./clinic
    """
    safety = safety_of(replication, min_insync, single_broker=single_broker)
    run(_into_region(file, safety, users) if isinstance(place, Region) else _into_directory(file, place))


async def _into_directory(file: Path, directory: Path) -> None:
    key = directory / MASTER_KEY
    master = MasterKey.read(key)
    is_home = holds_database(directory)
    if not is_home:
        require_empty(directory, _GOES, _OF_A_TRY)
    with whole(file, master) as backup:
        tokens, copies, destroyed = tokens_in(backup), copies_in(backup, master), destroyed_in(backup)
        if is_home:
            seen = await _made_before(directory, backup, copies)
        else:
            seen = await _make(directory, file, backup, key, master)
    # Also what was left when the same command was killed, after the home had come there.
    remove_left(directory)
    _tell(f"{directory} is", backup.manifest, destroyed, seen)
    if tokens is not None:
        _tell_tokens()
    _tell_copies(copies, backup.manifest)


async def _make(directory: Path, file: Path, backup: Backup, key: Path, master: MasterKey) -> Seen:
    """Make a home of a backup, which comes to its place whole, with all that is known of copies.

    Raises Failure.
    """
    tokens, copies, there = tokens_in(backup), copies_in(backup, master), await CopiesInFile(directory).all()
    if _is_other(directory / TOKENS, tokens):
        raise Failure(f"{directory} holds other tokens than {file}; {_GOES}")
    with workplace(directory, dry_run=False) as work:
        with empty_home(work, master) as ports, progress("Restoring", _records(backup.manifest)) as advance:
            await put_back(backup, ports, master, advance)
            await note_all([*there, *(copies or ())], ports.copies)
            await _noted(ports.copies, file, backup.manifest, copies)
        # Only now: what is left of a place that has its lock is removed by whoever comes next.
        _write(work / MASTER_KEY, key.read_bytes())
        if tokens is not None:
            _write(work / TOKENS, tokens)
        async with await EmbeddedHome.open(work, write=True, zone=clinic_zone()) as home:
            await _conclude(home)
            seen = await _seen(home.log, home.keyring)
        moved(work, directory, _GOES, _OF_A_TRY)
    return seen


async def _made_before(directory: Path, backup: Backup, copies: Sequence[Copy] | None) -> Seen:
    """Make sure that the home in a directory was made of a backup, and that nothing has happened there since.

    copies: that the backup knows

    Raises Failure.
    """
    tokens, file, began = tokens_in(backup), directory / TOKENS, backup.manifest.began
    has_tokens = tokens is None or (file.exists() and file.read_bytes() == tokens)
    # One that does not know which home has made it was not noted.
    is_known = home_that_made(copies or (), began) is None or any(
        each.kind == "backup" and each.at == began for each in await CopiesInFile(directory).all()
    )
    if has_tokens and is_known:
        async with await EmbeddedHome.open(directory) as home:
            if await is_as_in(backup, home):
                return await _seen(home.log, home.keyring)
    raise Failure(f"{directory} holds something already; {_GOES}")


async def _conclude(home: Home) -> None:
    """Let every stage read the facts. By `rebuild`: that goes on however many of them cannot be read."""
    with progress("Concluding", None) as advance:
        for stage in home.stages:
            await home.rebuild(stage, advance)


async def _into_region(file: Path, safety: Safety, users: Path | None) -> None:
    # The clients of the servers take a while to load, and help is wanted at once.
    from services.distributed import empty_region  # noqa: PLC0415
    from services.runtime.environment import region_settings  # noqa: PLC0415
    from services.runtime.logs import hush  # noqa: PLC0415
    from services.users import let_in, passwords_in  # noqa: PLC0415

    hush()
    settings = region_settings()
    passwords = None if users is None else passwords_in(users)
    master = MasterKey.read(settings.master_key_file)
    with whole(file, master) as backup:
        tokens, copies, destroyed = tokens_in(backup), copies_in(backup, master), destroyed_in(backup)
        tokens_go = None if tokens is None else _where_tokens_go(file)
        if passwords is not None:
            await let_in(settings, passwords)
        async with empty_region(settings, safety, backup) as ports:
            if tokens is not None and tokens_go is not None and not tokens_go.exists():
                _write(tokens_go, tokens)
            was_there = any((await ports.log.ends(SCORES, range(SCORES.partitions))).values())
            # First: with the founding of the log, which comes last, it is done.
            await note_all(copies or (), ports.copies)
            await _noted(ports.copies, file, backup.manifest, copies)
            with progress("Restoring", _records(backup.manifest)) as advance:
                await put_back(backup, ports, master, advance)
            seen = await _seen(ports.log, ports.keyring)
    if tokens_go is not None and _is_other(tokens_go, tokens):
        say(f"{tokens_go} holds other tokens than the backup and stays as it is: which were revoked since, it knows.")
    elif tokens_go is not None:
        _tell_tokens()
    if was_there:
        say("The log was there already, and stays as it is. Keys, directory and roster are those of the backup,")
        say(f"as of {instant(backup.manifest.began)}. Every stage has to be made anew now, by ontrack rebuild.")
    else:
        _tell("The region is", backup.manifest, destroyed, seen)
        say("Its services conclude the rest: start them with ontrack serve, unless they wait for it already.")
    _tell_copies(copies, backup.manifest)


async def _noted(into: Copies, file: Path, manifest: Manifest, copies: Sequence[Copy] | None) -> None:
    """Note the backup itself, as one of the home that has made it, if it knows that: it may go on beside this one."""
    if (home := home_that_made(copies or (), manifest.began)) is not None:
        await noted(into, "backup", file, manifest.began, home=home)


def _tell_tokens() -> None:
    say(
        "The tokens are those of the backup too: one that was revoked since then lets somebody in again. See "
        "ontrack token list, and give ontrack token revoke once more for each of those."
    )


def _tell_copies(copies: Sequence[Copy] | None, manifest: Manifest) -> None:
    if copies is None:
        say(
            "Which backups, files of keys and reports were made is not in this backup: that could not be told when it "
            "was made. Whoever erases a case has to name backups and files of keys by --backups, this one too, and to "
            "delete what else was made."
        )
    elif home_that_made(copies, manifest.began) is None:
        say(
            "That this backup was made could not be noted then, so it does not tell which home has made it: whoever "
            "erases a case has to name it by --backups."
        )


def _where_tokens_go(file: Path) -> Path:
    """Give where the tokens of a region go. Raises Failure."""
    goes = tokens_file(Region())
    if goes is None:
        raise Failure(f"{file} holds tokens: set {TOKENS_FILE} to where their file belongs")
    return goes


def _is_other(file: Path, tokens: bytes | None) -> bool:
    """Tell whether a file is there and holds other tokens."""
    return file.exists() and file.read_bytes() != tokens


def _write(file: Path, content: bytes) -> None:
    with new_file(file) as stream:
        stream.write(content)


def _records(manifest: Manifest) -> int:
    """Count the records that go onto the log."""
    topics = tuple(f"{topic.name}/" for topic in KEPT)
    return sum(part.items for part in manifest.parts if part.name.startswith(topics))


async def _seen(log: Log, keyring: Vault) -> Seen:
    """See what whoever has restored a home has to be told of. Raises Unavailable."""
    destroyed = {case_id async for case_id, wrapped in keyring.wrapped() if wrapped is None}
    return Seen(await last_said(log) is not None, sorted(destroyed - (await erasures(log, keyring)).keys()))


def _tell(what: str, manifest: Manifest, destroyed: int, seen: Seen) -> None:
    say(f"{what} as the backup has it: {told(manifest, destroyed)}.")
    say(
        f"It is as of {instant(manifest.began)}. What came later is lost, unless clients send it again: let them send "
        "all that they have sent since then. What is there already changes nothing."
    )
    say(
        "A case that was erased since is there again, and nothing here tells which: give ontrack erase once more for "
        "each of those."
    )
    if seen.unsaid:
        say(
            f"Erased, which its log does not say: {counted(len(seen.unsaid), 'case')}. Give "
            f"ontrack erase for each once more, with the ground that it had: {', '.join(seen.unsaid)}."
        )
    if seen.is_sealed:
        say(
            "Checkpoints stand on its log. Tell whoever keeps them that it was restored, and sign with another key "
            "into another directory from now on: what came later was perhaps sealed too, and conclusions about "
            "erased cases are not made again."
        )
