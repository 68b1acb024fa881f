"""`ontrack dlq`: facts that could not be read, and taking them in when they can."""

from dataclasses import dataclass
from typing import Final

import click

from contracts.codec import CaseKey, Unreadable, decode
from contracts.events.event import Data, Event
from contracts.events.publications import FactUnreadable
from contracts.topics import CASES, DEAD_LETTERS
from services.cli.home import FINDING, Failure, run
from services.cli.output import Format, Row, counted, format_option, say
from services.cli.place import Place, data_option, opened, settled
from services.cli.tables import print_rows
from services.home import Home
from services.ingest.domain.admission import is_known
from services.runtime.log.port import StoredRecord, next_offset

COLUMNS: Final = ("letter", "partition", "offset", "bytes", "reason", "status")
ID_SHOWN: Final = 8
_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Letter:
    """A fact that could not be read.

    record: as it stands on rom.cases.v1
    now: what it says now, or why it cannot be read
    is_taken: whether it stands on rom.cases.v1 as a readable fact too
    """

    id: str
    at: FactUnreadable
    record: StoredRecord
    now: Event[Data] | Unreadable
    is_taken: bool

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

    Each goes through the same checks as a fact that has just arrived, and is recorded as such.

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
    considered = await home.intake.consider([letter.now])
    if considered.refused:
        return "; ".join(str(refusal) for _, refusal in considered.refused)
    await home.intake.record(considered.new)
    return None


async def _letters_at(place: Place) -> list[Letter]:
    async with await opened(place) as home:
        return await _letters(home)


async def _letters(home: Home) -> list[Letter]:
    """Read the letters, each once, with the records that they are about."""
    found: dict[str, Letter] = {}
    for partition in range(DEAD_LETTERS.partitions):
        offset = 0
        while records := await home.log.read(DEAD_LETTERS, partition, offset, _AT_ONCE):
            offset = next_offset(records)
            for record in records:
                event = decode(record.value, DEAD_LETTERS, None)
                if isinstance(event, Event) and isinstance(event.data, FactUnreadable) and event.id not in found:
                    found[event.id] = await _letter(home, event.id, event.data)
    return list(found.values())


async def _letter(home: Home, identity: str, at: FactUnreadable) -> Letter:
    (record,) = await home.log.read(CASES, at.partition, at.offset, 1)
    key = (await home.keyring.keys([record.key])).get(record.key)
    now = decode(record.value, CASES, key) if isinstance(key, CaseKey) else Unreadable("not-an-event")
    if not isinstance(now, Event) or now.subject != record.key:
        return Letter(identity, at, record, now, is_taken=False)
    registered = await home.intake.registered([record.key])
    case = registered.get(record.key)
    return Letter(identity, at, record, now, is_taken=case is not None and is_known(case, now))


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
