"""`ontrack audit diff`: two histories, and what they do not share."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from services.auditor.diff import COMPARED, Compared, How, Side, compare
from services.auditor.domain.narrowing import Part
from services.auditor.narrowed import Narrowed
from services.cli.audit.narrowing import Wish, narrowing_options, part_of, told_of
from services.cli.home import FINDING, Failure, run
from services.cli.output import Format, Row, counted, emit, format_option, progress, say
from services.cli.place import Region
from services.cli.source import Exported, Source, audited
from services.home import Home

COLUMNS: Final = ("how", "topic", "case", "event", "type", "fields", "session", "first", "second")
_REGION: Final = "region"
_HOW: Final[Mapping[How, str]] = {
    "only-first": "is only in the first",
    "only-second": "is only in the second",
    "differs": "differs",
    "repeated-first": "stands once more in the first, and says something else there",
    "repeated-second": "stands once more in the second, and says something else there",
}


@click.command("diff", short_help="Tell what two histories do not share.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--keys-a", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The keys of the bundle A."
)
@click.option(
    "--keys-b", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The keys of the bundle B."
)
@narrowing_options
@format_option
def diff(first: str, second: str, keys_a: Path | None, keys_b: Path | None, wish: Wish, form: Format) -> None:
    """Tell which events two histories do not share, and which sessions they judge otherwise.

    A and B are each a data directory, a bundle, or the word region for the one that the environment names. An event is
    known by its id. What has only another number, or another seal and says the same, is the same. Where keys are not
    here, events are compared as they stand, sealed. Where something else stands under the id of an event too, the first
    record counts; another that only one of the two has is told as a repetition. Neither the order of events nor what
    stages know is compared: that is for ontrack audit verify, of each of the two. Where only some cases are looked at,
    definitions are not; a case is in a group if it was in either of the two. The exit code is 1 if something differs.

    Example: ontrack audit diff ./clinic history.zip --keys-b history.keys
    """
    compared, part = run(_compared(_source(first, keys_a, "--keys-a"), _source(second, keys_b, "--keys-b"), wish))
    emit(_rows(compared), COLUMNS, form) if form != "table" else _show(compared)
    for line in (*_summary(compared), *told_of(part)):
        say(line)
    if compared.unshared:
        raise SystemExit(FINDING)


def _source(name: str, keys: Path | None, option: str) -> Source:
    """Find what a name means. Raises Failure."""
    file = Path(name)
    if file.is_file():
        return Exported(file, keys, option)
    if keys is not None:
        raise Failure(f"{option}: {name} is no bundle, and needs no keys")
    return Region() if name == _REGION else file


async def _compared(first: Source, second: Source, wish: Wish) -> tuple[Compared, Part]:
    async with AsyncExitStack() as stack:
        knows_cases = wish.names_cases
        homes = [
            await stack.enter_async_context(await audited(source, knows_cases=knows_cases))
            for source in (first, second)
        ]
        ends = [
            await home.log.end(topic, number)
            for home in homes
            for topic in COMPARED
            for number in range(topic.partitions)
        ]
        parts = await _parts(homes, wish)
        with progress("Comparing", sum(ends)) as advance:
            one, other = (Side(Narrowed(home.log, part), home.keyring) for home, part in zip(homes, parts, strict=True))
            return await compare(one, other, advance, of_cases_alone=knows_cases), parts[0]


async def _parts(homes: Sequence[Home], wish: Wish) -> Sequence[Part]:
    """Find the part of each that is asked for, with the same cases in both. Raises Failure if neither has any."""
    parts: list[Part] = []
    lacking: list[Failure] = []
    for home in homes:
        try:
            parts.append(await part_of(home, wish))
        except Failure as failure:
            lacking.append(failure)
            parts.append(await part_of(home, Wish(until=wish.until)))
    if len(lacking) == len(homes):
        raise lacking[0]
    if not wish.names_cases:
        return parts
    cases = frozenset[str]().union(*(part.cases or () for part in parts))
    return [replace(part, cases=cases) for part in parts]


def _rows(compared: Compared) -> Iterator[Row]:
    for each in compared.unshared:
        yield {
            "how": each.how,
            "topic": each.topic,
            "case": each.case,
            "event": each.event,
            "type": each.kind,
            "fields": list(each.fields),
        }
    for judged in compared.judged:
        where = {"case": judged.case, "session": judged.session}
        yield {"how": "judged", **where, "first": judged.first, "second": judged.second}


def _show(compared: Compared) -> None:
    for each in compared.unshared:
        fields = f" in {', '.join(each.fields)}" if each.fields else ""
        click.echo(f"{each.topic}: {each.kind} {each.event} of case {each.case} {_HOW[each.how]}{fields}")
    for judged in compared.judged:
        first, second = (each or "not judged" for each in (judged.first, judged.second))
        click.echo(f"Session {judged.session} of case {judged.case}: {first} in the first, {second} in the second")


def _summary(compared: Compared) -> Iterator[str]:
    shared = sum(compared.shared.values())
    others = f", {compared.renumbered:,} of them with another number" if compared.renumbered else ""
    yield f"{counted(shared, 'event')} shared{others}."
    if not shared and not compared.unshared:
        yield "Nothing was there to be compared."
    elif compared.unshared:
        events, sessions = counted(len(compared.unshared), "event"), counted(len(compared.judged), "session")
        yield f"{events} not shared, {sessions} judged otherwise."
        for cases, why in ((compared.sealed, "a key is not here"), (compared.broken, "a conclusion cannot be read")):
            if cases:
                yield f"Sessions of {counted(len(cases), 'case')} were not compared: {why}."
    else:
        yield "Both say the same. Whether that is in order and follows from facts, ontrack audit verify tells of each."
