"""`ontrack halted`: cases that a stage could not go on with, and trying them again."""

from typing import Final

import click

from services.cli.home import FINDING, run, short_names
from services.cli.naming_cases import case_named
from services.cli.output import Format, Row, format_option, say
from services.cli.place import Place, data_option, opened, settled
from services.cli.tables import print_rows
from services.home import Home

COLUMNS: Final = ("case", "stage", "partition", "offset", "reason")


@click.group("halted")
def halted() -> None:
    """List the cases that cannot go on, or try them again.

    A case halts when a stage cannot take its next event: a definition or a key is missing, or the stage fails. The
    other cases go on. It is tried again whenever its stage starts or a new definition is published.

    Example: ontrack halted list --data DIR
    """


@halted.command("list", short_help="List the cases that cannot go on, and why.")
@data_option
@format_option
def list_(place: Place, form: Format) -> None:
    """List the cases that cannot go on: in which stage, at which offset of the topic it reads, and why.

    Example: ontrack halted list --data DIR
    """
    print_rows(run(_rows_at(place)), COLUMNS, form, "No case is halted.")


@halted.command("resume", short_help="Try halted cases again, all of them or one.")
@click.argument("number", metavar="[NUMBER]", required=False)
@data_option
def resume(number: str | None, place: Place) -> None:
    """Try halted cases again, all of them or one; each goes on from where it stands.

    NUMBER is the case's number at the clinic.

    Example: ontrack halted resume --data DIR
    """
    left = run(_resume(place, number))
    for row in left:
        say(f"{row['case']} still halts in {row['stage']}: {row['reason']}")
    if left:
        raise SystemExit(FINDING)
    say("No case is halted." if number is None else f"{number} is not halted.")


async def _resume(place: Place, number: str | None) -> list[Row]:
    """Try again; give the cases that still halt."""
    async with await opened(place, write=True) as home:
        case_id = None if number is None else await case_named(home, number)
        await home.retry_halted(case_id)
        await settled(home)
        return await _rows(home, case_id)


async def _rows_at(place: Place) -> list[Row]:
    async with await opened(place) as home:
        return await _rows(home, None)


async def _rows(home: Home, case_id: str | None) -> list[Row]:
    names = await short_names(home)
    return [
        {
            "case": names.get(each.case_id, each.case_id),
            "stage": stage.name,
            "partition": each.partition,
            "offset": each.offset,
            "reason": each.reason,
        }
        for stage in home.every_stage
        for each in await home.store.halted(stage.name)
        if case_id in (None, each.case_id)
    ]
