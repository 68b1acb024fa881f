"""`ontrack policy`: which NOT policies there are, and what one says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from contracts.definitions.catalogue import Catalogue, Entry
from contracts.definitions.definition import Language, id_of, without_hash
from contracts.definitions.policy import Policy
from services.cli.definitions import known_definitions, language_option, own_option
from services.cli.home import named_or_file, run
from services.cli.output import Format, Row, format_option
from services.cli.place import Place, known_option
from services.cli.policy.prose import PolicyProse
from services.cli.policy.sentences import PolicySentences
from services.cli.policy.trial import try_
from services.cli.screen import cut, heading, painted, wrapped
from services.cli.tables import print_rows

COLUMNS: Final = ("policy", "primary", "source", "title")
SOURCE_LENGTH: Final = 30
_CITED: Final = re.compile(r"^(?P<author>\w[\w-]+) [A-Z]{1,3}[,.].*?(?P<year>(?:19|20)\d\d)", re.DOTALL)
_NUMBERED: Final = re.compile(r"(\d+\.|-) ")
"""How a paragraph begins that is one of several: its further lines stand below its words."""
_TITLES: Final = {
    "en": ("Rules", "Every option", "Where it comes from", "The full reference, by which decisions name it"),
    "da": ("Regler", "Alle indstillinger", "Hvor det kommer fra", "Den fulde reference, som afgørelser nævner den ved"),
}
_PROVISIONAL: Final = {
    "en": "Provisional: part of this policy has no public source.",
    "da": "Foreløbig: en del af denne politik har ingen offentlig kilde.",
}


@click.group("policy")
def policy() -> None:
    """List the NOT policies, show or describe one, or try one on a history.

    A policy says when a session is not on track, and by which scale.

    Example: ontrack policy show gryesten-2023
    """


@policy.command("list")
@known_option
@own_option
@language_option
@format_option
def list_(place: Place | None, own: Path | None, language: Language, form: Format) -> None:
    """List the policies.

    Each with the scale that it looks at, and where it comes from.

    Example: ontrack policy list --definitions clinic/definitions
    """
    known = run(known_definitions(place, own))
    print_rows(_rows(known, language), COLUMNS, form)


@policy.command("show")
@click.argument("name", metavar="ID|FILE")
@known_option
@own_option
@language_option
def show(name: str, place: Place | None, own: Path | None, language: Language) -> None:
    """Show a policy, option by option.

    Its rules, every option with its value and meaning, its sources. ontrack policy describe tells it as a text. Name it
    by id (the newest version), as id@version, or by the file it is in.

    Example: ontrack policy show gryesten-2023 --language da
    """
    entry, known = run(_found(name, place, own))
    for line in _told(entry, known, language):
        click.echo(line)


@policy.command("describe", short_help="Describe a policy in full sentences, for approval.")
@click.argument("name", metavar="ID|FILE")
@known_option
@own_option
@language_option
def describe(name: str, place: Place | None, own: Path | None, language: Language) -> None:
    """Describe a policy in full sentences, for the clinician who must approve it.

    Everything that it decides, with examples made of its own numbers, and in the end the reference by which an approval
    should name it. Name it by id, as id@version, or by the file it is in. ontrack policy show lists the options.

    Example: ontrack policy describe gryesten-2023 --language da
    """
    entry, known = run(_found(name, place, own))
    for line in _described(entry, known, language):
        click.echo(line)


async def _found(name: str, place: Place | None, own: Path | None) -> tuple[Entry, Catalogue]:
    known = await known_definitions(place, own)
    entry = named_or_file(Policy, name, known)
    known.add(entry)
    return entry, known


def _rows(known: Catalogue, language: Language) -> Iterator[Row]:
    for ref, model in known.of_kind(Policy):
        yield {
            "policy": without_hash(ref),
            "primary": f"{id_of(model.primary.instrument)}/{model.primary.scale}",
            "source": short_source(model.sources[0]),
            "title": model.title.in_language(language),
        }


def short_source(source: str) -> str:
    """Shorten a reference to authors and year; whatever is not one is cut."""
    cited = _CITED.match(source)
    if cited is None:
        return cut(source, SOURCE_LENGTH)
    others = " et al." if "," in source.partition(".")[0] else ""
    return f"{cited['author']}{others} {cited['year']}"


def _told(entry: Entry, known: Catalogue, language: Language) -> Iterator[str]:
    """Give the lines that show a policy."""
    model = known.policy(entry.ref)
    sentences = PolicySentences(model, known, language)
    rules, options, sources, reference = _TITLES[language]
    yield painted(model.title.in_language(language), bold=True)
    yield from wrapped(model.summary.in_language(language))
    if model.provisional:
        yield from wrapped(_PROVISIONAL[language])
    yield from heading(rules)
    for number, (kind, sentence) in enumerate(sentences.rules(), 1):
        yield from wrapped(f"{sentence} ({kind})", first=f"{number}. ", rest="   ")
    yield from heading(options)
    for option in sentences.options():
        yield f"{option.name} = {painted(option.value, bold=True)}"
        yield from wrapped(option.meaning, first="    ")
    yield from heading(sources)
    for source in model.sources:
        yield from wrapped(source, first="- ", rest="  ")
    yield from heading(reference)
    yield entry.ref


def _described(entry: Entry, known: Catalogue, language: Language) -> Iterator[str]:
    """Give the lines that describe a policy."""
    model = known.policy(entry.ref)
    yield painted(model.title.in_language(language), bold=True)
    yield ""
    yield from wrapped(model.summary.in_language(language))
    for title, paragraphs in PolicyProse(model, known, language).sections():
        yield from heading(title)
        for paragraph in paragraphs:
            numbered = _NUMBERED.match(paragraph)
            yield from wrapped(paragraph, rest=" " * len(numbered[0]) if numbered else "")
    yield ""
    yield entry.ref


policy.add_command(try_)
