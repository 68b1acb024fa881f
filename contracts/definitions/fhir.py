"""How an instrument stands in FHIR: the link ids and the codes by which public questionnaires know it."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from contracts.definitions.definition import Part

Uri = Annotated[str, Field(pattern=r"^\S+$", max_length=200)]
LinkId = Annotated[str, Field(pattern=r"^\S+$", max_length=100)]
Code = Annotated[str, Field(pattern=r"^\S+$", max_length=100)]
ItemId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=40)]
Links = Annotated[tuple[LinkId, ...], Field(min_length=1)]
"""Link ids of one question: the first is written, all of them are read."""


class Coding(Part):
    """A code of a code system."""

    system: Uri
    code: Code


class LinkedItem(Part):
    """How a question stands in FHIR.

    answers: the codes of its values, from the lowest to the highest; without them a value stands as a number
    """

    links: Links
    code: Coding | None = None
    answers: tuple[Code, ...] = ()


class InFhir(Part):
    """How a questionnaire stands in FHIR.

    sources: where the link ids and codes come from, and what could not be confirmed
    questionnaires: the canonical URLs, without a version, of the public questionnaires that have these link ids
    code: of the questionnaire as a whole
    answer_system: of the codes of answers
    comment: link ids of the free text
    beside: link ids of what public questionnaires ask besides; it is neither kept nor refused
    notice: what has to be said wherever the codes are shown
    """

    sources: tuple[str, ...] = Field(min_length=1)
    questionnaires: tuple[Uri, ...] = ()
    code: Coding
    answer_system: Uri | None = None
    items: dict[ItemId, LinkedItem]
    comment: Links = ("comment",)
    beside: tuple[LinkId, ...] = ()
    notice: str | None = None

    def faults_in(self, ranges: Mapping[str, tuple[int, int]]) -> Iterator[str]:
        """Find what does not fit the questions of the instrument: what was expected. ranges: item id -> range."""
        if self.items.keys() != ranges.keys():
            yield f"exactly the items of this instrument were expected in fhir.items: {', '.join(ranges)}"
            return
        links = [*self.comment, *self.beside, *(link for item in self.items.values() for link in item.links)]
        if len(set(links)) < len(links):
            yield "each link id once was expected in fhir"
        for name, item in self.items.items():
            lowest, highest = ranges[name]
            values = highest - lowest + 1
            if item.answers and not len(set(item.answers)) == len(item.answers) == values:
                yield f"a code of its own was expected for each of the {values} values of {name} in fhir"
        if any(item.answers for item in self.items.values()) and self.answer_system is None:
            yield "the answer_system of the codes of answers was expected in fhir"
