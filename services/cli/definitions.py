"""`ontrack definitions`: what definitions there are, what one says, and whether a clinic's own can be used."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from contracts.definitions.catalogue import Catalogue, Entry
from contracts.definitions.definition import Definition, Language
from contracts.definitions.files import DefinitionFaults, load_directory
from contracts.definitions.instrument import Instrument
from services.cli.definition_screen import file_columns, told
from services.cli.home import FINDING, Failure, library_catalogue, named_or_file, run
from services.cli.output import Format, Row, format_option, say
from services.cli.place import Place, known_option, opened
from services.cli.tables import print_rows

COLUMNS: Final = ("kind", "definition", "hash", "title")
HASH_SHOWN: Final = 12

language_option = click.option(
    "--language", type=click.Choice(["en", "da"]), default="en", show_default=True, help="English or Danish."
)
own_option = click.option(
    "--definitions",
    "own",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Add a clinic's own definitions.",
)


async def known_definitions(place: Place | None, own: Path | None) -> Catalogue:
    """Give the definitions of a place, or those that ship; and with them a clinic's own.

    Raises NotAHome, MasterKeyUnusable, DefinitionFaults.
    """
    known = library_catalogue()
    if place is not None:
        async with await opened(place) as home:
            known = home.definitions
    for entry in load_directory(own) if own is not None else ():
        known.add(entry)
    return known


@click.group("definitions")
def definitions() -> None:
    """List the definitions, show one, or check a clinic's own before they are used.

    Example: ontrack definitions show odsis
    """


@definitions.command("check")
@click.argument("own", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@language_option
@format_option
def check(own: Path, language: Language, form: Format) -> None:
    """Check a clinic's own definitions.

    Every .json file below DIR is checked, and nothing is taken over. All faults are listed at once, each as file:
    path: what was expected. With faults the exit code is 1.

    Example: ontrack definitions check clinic/definitions
    """
    if not any(own.rglob("*.json")):
        raise Failure(f"{own}: at least one .json file was expected; see contracts/library for examples")
    try:
        found = load_directory(own)
    except DefinitionFaults as wrong:
        for fault in wrong.faults:
            say(str(fault))
        raise Failure(_summary(wrong), FINDING) from None
    print_rows(_rows(found, language), COLUMNS, form)
    say(f"{_counted(len(found), 'definition')} can be used.")


@definitions.command("list")
@known_option
@own_option
@language_option
@format_option
def list_(place: Place | None, own: Path | None, language: Language, form: Format) -> None:
    """List every definition.

    Each with the beginning of the hash of its content.

    Example: ontrack definitions list --data DIR
    """
    known = run(known_definitions(place, own))
    print_rows(_rows(known, language), COLUMNS, form)


@definitions.command("show")
@click.argument("name", metavar="ID|FILE")
@known_option
@own_option
@language_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print it; json is its whole content.",
)
def show(name: str, place: Place | None, own: Path | None, language: Language, form: str) -> None:
    """Show a definition.

    Of an instrument: the columns of a file of responses, each item with its range, the scales, the sources. Name it
    by id (the newest version), as id@version, or by the file it is in.

    Example: ontrack definitions show odsis
    """
    entry = run(_found(name, place, own))
    if form == "json":
        click.echo(json.dumps(_content(entry), ensure_ascii=False, indent=2))
        return
    for line in told(entry, language):
        click.echo(line)


async def _found(name: str, place: Place | None, own: Path | None) -> Entry:
    return named_or_file(Definition, name, await known_definitions(place, own))


def _content(entry: Entry) -> Row:
    """Give a definition as data; of an instrument with the columns of a file."""
    columns = {"columns": file_columns(entry.model)} if isinstance(entry.model, Instrument) else {}
    return {"reference": entry.ref, **columns, **entry.body}


def _rows(entries: Iterable[Entry], language: Language) -> Iterator[Row]:
    for entry in sorted(entries, key=lambda entry: (str(entry.body["kind"]), entry.model.id, entry.model.version)):
        yield _row(entry, language)


def _row(entry: Entry, language: Language) -> dict[str, Any]:
    name, _, digest = entry.ref.partition("#")
    return {
        "kind": entry.body["kind"],
        "definition": name,
        "hash": digest[:HASH_SHOWN],
        "title": entry.model.title.in_language(language) + _mark(entry, language),
    }


def _mark(entry: Entry, language: Language) -> str:
    """Say of a provisional definition that it is one, wherever it is named."""
    if not entry.model.provisional:
        return ""
    return " (foreløbig)" if language == "da" else " (provisional)"


def _summary(wrong: DefinitionFaults) -> str:
    files = len({fault.file for fault in wrong.faults})
    return f"{_counted(len(wrong.faults), 'fault')} in {_counted(files, 'file')}; mend them and check again"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
