"""`ontrack dlq`: facts that could not be read, and taking them in when they can."""

from typing import Final

import click

from contracts.events.event import Event
from services.cli.dead_letters import Letter, letters_of
from services.cli.home import FINDING, Failure, run
from services.cli.output import Format, Row, counted, format_option, say
from services.cli.place import Place, data_option, opened, settled
from services.cli.tables import print_rows
from services.home import Home
from services.runtime.log.port import Record

COLUMNS: Final = ("letter", "partition", "offset", "bytes", "reason", "status")
ID_SHOWN: Final = 8


@click.group("dlq")
def dlq() -> None:
    """List facts that could not be read, show one, or take those in that can be read by now.

    Example: ontrack dlq list --data DIR
    """


@dlq.command("list", short_help="List the facts that could not be read, and why.")
@data_option
@format_option
def list_(place: Place, form: Format) -> None:
    """List the facts that could not be read: where they stand on rom.cases.v1, and why.

    Status: unreadable (still), readable (by this version, so that it can be redriven), redriven.

    Example: ontrack dlq list --data DIR
    """
    print_rows(map(_row, run(_letters_at(place))), COLUMNS, form, "Every fact could be read.")


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
        letters = await letters_of(home)
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
        return await letters_of(home)


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
