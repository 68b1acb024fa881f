"""What every definition has in common: an identity, words in two languages, and its sources."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Literal["en", "da"]
DefinitionId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
Reference = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*@[1-9][0-9]*(#[0-9a-f]{64})?$")]
"""`id@version` in a file; the loader pins it to `id@version#sha256`."""


class Part(BaseModel):
    """A piece of a definition. Immutable; an unknown field is refused, so that a typing error is found."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Part):
    """Words in every language that OnTrack speaks."""

    en: str = Field(min_length=1)
    da: str = Field(min_length=1)

    def in_language(self, language: Language) -> str:
        """Give the words in one language."""
        return self.da if language == "da" else self.en


class Definition(Part):
    """A named, versioned piece of clinical content.

    sources: where its content comes from
    provisional: part of it has no public source; that is said wherever it is used
    """

    id: DefinitionId
    version: int = Field(ge=1)
    title: Text
    sources: tuple[str, ...] = Field(min_length=1)
    provisional: bool = False


def id_of(reference: str) -> str:
    """Give the id that a reference names, whatever the version."""
    return reference.partition("@")[0]


def without_hash(reference: str) -> str:
    """Name a definition as people do, by id and version: `odsis@1`."""
    return reference.partition("#")[0]
