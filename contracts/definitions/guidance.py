"""The clinical support tool as data: from flagged answers to needs, openers for a talk, and actions."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.definitions.definition import Definition, DefinitionId, Part, Text

FlagRef = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*$")]
"""`instrument/flag`"""


class Theme(Part):
    """A side of a need, with sentences that can open a talk about it."""

    id: DefinitionId
    title: Text
    openers: tuple[Text, ...] = Field(min_length=1)


class Need(Part):
    """Something a patient may need that the group does not give. signs: the flagged answers that point to it."""

    id: DefinitionId
    title: Text
    about: Text
    themes: tuple[Theme, ...] = Field(min_length=1)
    signs: tuple[FlagRef, ...] = ()


class Action(Part):
    """Something that can be done. origin: where the idea comes from; needs: which ones it answers."""

    id: DefinitionId
    title: Text
    about: Text
    origin: Literal["planned", "findings", "other"]
    needs: tuple[DefinitionId, ...]


class Guidance(Definition):
    """Needs and actions. `preface` stands above them in every report."""

    kind: Literal["guidance"]
    preface: Text
    needs: tuple[Need, ...]
    actions: tuple[Action, ...]

    @model_validator(mode="after")
    def _actions_answer_needs(self) -> Self:
        needs = {need.id for need in self.needs}
        if len(needs) < len(self.needs) or len({action.id for action in self.actions}) < len(self.actions):
            raise ValueError("an id of its own was expected for each need and each action")
        if unknown := sorted({need for action in self.actions for need in action.needs} - needs):
            raise ValueError(f"needs of this guidance were expected in its actions, not: {', '.join(unknown)}")
        return self
