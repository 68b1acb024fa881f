"""Findings as people and programs read them: what is wrong, where, and the fields that differ."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Final

import click

from contracts.codec import CaseKey
from services.auditor.domain.findings import Difference, Finding, What
from services.auditor.fold import Keys
from services.cli.output import Row
from services.cli.screen import harmless, painted, size, wrapped
from services.runtime.keyring.port import Keyring

FIELDS_SHOWN: Final = 12
"""Fields of a finding that are named where people read it: a state that lacks weeks differs in hundreds."""

COLUMNS: Final = ("finding", "topic", "stage", "partition", "offset", "event", "case", "says", "fields")


async def rows_of(findings: Iterable[Finding], keyring: Keyring, *, reveal: bool) -> AsyncIterator[Row]:
    """Put findings down. reveal: the values that differ, and not their hashes."""
    keys = Keys(keyring)
    for finding in findings:
        case_id = finding.place.case
        key = None if case_id is None else (await keys.of([case_id])).get(case_id)
        shown = [
            each if reveal else each.hashed(key if isinstance(key, CaseKey) else None) for each in finding.differences
        ]
        yield row_of(finding, shown)


def row_of(finding: Finding, differing: Sequence[Difference] = ()) -> Row:
    """Put a finding down. differing: the fields that differ, as they are shown."""
    place = finding.place
    return {
        "finding": finding.what,
        "topic": place.topic,
        "stage": place.stage,
        "partition": place.partition,
        "offset": place.offset,
        "event": place.event,
        "case": place.case,
        "says": finding.says,
        "fields": [
            {"field": each.path, "expected": _text(each.expected), "found": _text(each.found)} for each in differing
        ],
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def show(rows: Sequence[Row]) -> None:
    """Show findings to people, those that are alike as one."""
    for first, *alike in _by_kind(rows):
        _show(first, len(alike))


def _by_kind(rows: Sequence[Row]) -> Collection[list[Row]]:
    """Put together what was found alike of a case: where one event is another one, all behind it can be."""
    found: dict[object, list[Row]] = {}
    for number, row in enumerate(rows):
        kind = number if row["case"] is None else (row["finding"], row["topic"], row["stage"], row["case"])
        found.setdefault(kind, []).append(row)
    return found.values()


def _show(row: Row, alike: int) -> None:
    """Show a finding: what it is and where, the fields that differ, and how many are like it behind it."""
    names = ("topic", "stage", "partition", "offset", "event", "case")
    where = ", ".join(f"{name} {row[name]}" for name in names if row[name] is not None)
    width = size()[0]
    for line in wrapped(harmless(str(row["says"])), first=f"{row['finding']}: ", rest="  ", width=width):
        click.echo(painted(line, bold=True))
    for line in wrapped(harmless(where), first="  ", width=width):
        click.echo(line)
    fields = row["fields"] if isinstance(row["fields"], list) else []
    for each in fields[:FIELDS_SHOWN]:
        told = (
            f"{each['field']}: {each['expected'] or 'nothing'} was expected, {each['found'] or 'nothing'} stands there"
        )
        for line in wrapped(told, first="    ", rest="      ", width=width):
            click.echo(line)
    if len(fields) > FIELDS_SHOWN:
        click.echo(f"    and {len(fields) - FIELDS_SHOWN:,} more fields; --format json names all of them")
    if alike:
        click.echo(f"  and {alike:,} more {row['finding']} of this case behind it; --format json names them")


def kinds_of(found: Counter[What]) -> str:
    """Tell how many findings there are of each kind."""
    return ", ".join(f"{number:,} {what}" for what, number in sorted(found.items()))
