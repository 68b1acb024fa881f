"""A clinic's own licensed wording of an instrument, laid over its neutral labels."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.definitions.definition import Definition, Language, Reference


class Wording(Definition):
    """The words of an instrument's items in one language; an item that is missing here shows its label."""

    kind: Literal["wording"]
    instrument: Reference
    language: Language
    items: dict[str, Annotated[str, Field(min_length=1)]]
