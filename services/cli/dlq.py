"""`ontrack dlq`: facts that could not be read, and taking them in when they can."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import click

from contracts.codec import CaseKey, Unreadable, content_digest, decode
from contracts.events.event import Data, Event
from contracts.events.publications import FactUnreadable
from contracts.topics import CASES, DEAD_LETTERS, Topic
from services.cli.home import FINDING, Failure, run
from services.cli.output import Format, Row, counted, format_option, say
from services.cli.place import Place, data_option, opened, settled
from services.cli.tables import print_rows
from services.home import Home
from services.runtime.log.port import Record, StoredRecord, next_offset

COLUMNS: Final = ("letter", "partition", "offset", "bytes", "reason", "status")
ID_SHOWN: Final = 8
_AT_ONCE: Final = 1_000

Content = tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A fact that could not be read.

    record: as it stands on rom.cases.v1
    now: what it says now, or why it cannot be read
    is_taken: whether it stands on rom.cases.v1 at another place too, where it could be read
    """

    id: str
    at: FactUnreadable
    record: StoredRecord
    now: Event[Data] | Unreadable
    is_taken: bool = False

    @property
    def status(self) -> str:
        """How it stands with it, in a word."""
        if self.is_taken:
            return "redriven"
        return "readable" if isinstance(self.now, Event) else "unreadable"


@click.group("dlq")
def dlq() -> None:
    """List facts that could not be read, show one, or take those in that can be read by now.

    Example: ontrack dlq list --data DIR
    """


@dlq.command("list")
@data_option
@format_option
def list_(place: Place, form: Format) -> None:
    """List the facts that could not be read: where they stand on rom.cases.v1, and why.

    Status: unreadable (still), readable (by this version, so that it can be redriven), redriven.

    Example: ontrack dlq list --data DIR
    """
    letters = run(_letters_at(place))
    if letters or form != "table":
        print_rows([_row(letter) for letter in letters], COLUMNS, form)
    else:
        say("Every fact could be read.")


@dlq.command("show")
@click.argument("letter")
@data_option
@click.option("--reveal", is_flag=True, help="Show the record too, as it stands: it can hold what a patient wrote.")
def show(letter: str, place: Place, reveal: bool) -> None:
    """Show one fact that could not be read. LETTER is the beginning of its id.

    Example: ontrack dlq show 3f2a91bc --data DIR
    """
    found = _named(letter, run(_letters_at(place)))
    for name, value in {**_row(found), "letter": found.id}.items():
        click.echo(f"{name:<10} {value}")
    if reveal:
        click.echo(f"{'key':<10} {found.record.key}")
        click.echo(f"{'record':<10} {found.record.value!r}")


@dlq.command("redrive")
@click.argument("letters", nargs=-1)
@data_option
@click.option("--all", "with_all", is_flag=True, help="All that can be read.")
def redrive(letters: tuple[str, ...], place: Place, with_all: bool) -> None:
    """Take facts in that could not be read and now can. LETTERS are the beginnings of their ids.

    Each goes through the same checks as a fact that has just arrived, and is then recorded once more, as it stands.

    Example: ontrack dlq redrive --all --data DIR
    """
    if bool(letters) == with_all:
        raise Failure("either LETTERS or --all was expected")
    run(_redrive(place, letters))


async def _redrive(place: Place, names: tuple[str, ...]) -> None:
    refused = taken = 0
    async with await opened(place, write=True) as home:
        await home.catch_up()
        letters = await _letters(home)
        wanted = [_named(name, letters) for name in names] or [each for each in letters if each.status == "readable"]
        for letter in wanted:
            why = await _taken(home, letter)
            if why is None:
                taken += 1
            else:
                refused += 1
                say(f"{letter.id[:ID_SHOWN]}: {why}")
            await home.catch_up()
        await settled(home)
    say(f"{counted(taken, 'fact')} taken in.")
    if refused:
        raise SystemExit(FINDING)


async def _taken(home: Home, letter: Letter) -> str | None:
    """Take a fact in; tell why not, if it cannot be."""
    if not isinstance(letter.now, Event):
        return f"it still cannot be read ({letter.now.reason})"
    if letter.is_taken:
        return "it was taken in before"
    # The register may know the fact, as it may have read it while the key was still right. The services do not.
    considered = await home.intake.consider([letter.now])
    if considered.refused:
        return "; ".join(str(refusal) for _, refusal in considered.refused)
    await home.intake.take_over([Record(letter.record.key, letter.record.value)])
    return None


async def _letters_at(place: Place) -> list[Letter]:
    async with await opened(place) as home:
        return await _letters(home)


async def _letters(home: Home) -> list[Letter]:
    """Read the letters, each once, with the records that they are about."""
    found: dict[str, Letter] = {}
    for partition in range(DEAD_LETTERS.partitions):
        async for record in _records(home, DEAD_LETTERS, partition, 0):
            event = decode(record.value, DEAD_LETTERS, None)
            if isinstance(event, Event) and isinstance(event.data, FactUnreadable) and event.id not in found:
                found[event.id] = await _letter(home, event.id, event.data)
    letters = list(found.values())
    taken = {each for partition in range(CASES.partitions) for each in await _taken_in(home, partition, letters)}
    return [replace(letter, is_taken=_content(letter.now) in taken) for letter in letters]


async def _letter(home: Home, identity: str, at: FactUnreadable) -> Letter:
    (record,) = await home.log.read(CASES, at.partition, at.offset, 1)
    key = (await home.keyring.keys([record.key])).get(record.key)
    now = decode(record.value, CASES, key) if isinstance(key, CaseKey) else Unreadable("not-an-event")
    if isinstance(now, Event) and now.subject != record.key:
        now = Unreadable("not-an-event")
    return Letter(identity, at, record, now)


async def _taken_in(home: Home, partition: int, letters: Sequence[Letter]) -> set[Content]:
    """Give what could be read in a partition of the cases of some letters, as far as it stands after the first."""
    aside = {letter.at.offset for letter in letters if letter.at.partition == partition}
    readable = [each for each in letters if each.at.partition == partition and isinstance(each.now, Event)]
    keys = await home.keyring.keys({letter.record.key for letter in readable})
    found: set[Content] = set()
    first = min((letter.at.offset for letter in readable), default=None)
    if first is not None:
        async for record in _records(home, CASES, partition, first):
            key = keys.get(record.key)
            if record.offset not in aside and isinstance(key, CaseKey):
                found.add(_content(decode(record.value, CASES, key)))
    return found - {None}


async def _records(home: Home, topic: Topic, partition: int, offset: int) -> AsyncIterator[StoredRecord]:
    while records := await home.log.read(topic, partition, offset, _AT_ONCE):
        offset = next_offset(records)
        for record in records:
            yield record


def _content(read: Event[Data] | Unreadable) -> Content:
    """Name a fact with its content; None for what cannot be read."""
    return (read.id, content_digest(read)) if isinstance(read, Event) else None


def _named(name: str, letters: list[Letter]) -> Letter:
    """Find a letter by the beginning of its id. Raises Failure."""
    found = [letter for letter in letters if letter.id.startswith(name)]
    if len(found) != 1:
        what = "no letter has" if not found else f"{len(found)} letters have"
        raise Failure(f"{name}: {what} an id that begins so; ontrack dlq list lists them all")
    return found[0]


def _row(letter: Letter) -> Row:
    return {
        "letter": letter.id[:ID_SHOWN],
        "partition": letter.at.partition,
        "offset": letter.at.offset,
        "bytes": len(letter.record.value),
        "reason": letter.at.reason,
        "status": letter.status,
    }
