"""What the catalogue promises: a definition is found by its reference, of its kind, or it is said to be missing."""

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.definitions.catalogue import Catalogue, DefinitionMissing, Entry, entry_of
from contracts.definitions.definition import Definition
from contracts.definitions.files import library
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy


def entry(kind: Any, name: str) -> Entry:
    found = Catalogue(library()).named(kind, name)
    assert found is not None
    return found


def changed(kind: Any, name: str, **changes: Any) -> Entry:
    return entry_of(deepcopy(dict(entry(kind, name).body)) | changes)


def test_a_definition_that_is_not_there_is_said_to_be_missing_by_its_reference() -> None:
    ref = entry(Instrument, "odsis").ref
    with pytest.raises(DefinitionMissing, match=ref) as missing:
        Catalogue().instrument(ref)
    assert missing.value.ref == ref


def test_a_reference_names_a_definition_of_its_own_kind_only() -> None:
    known = Catalogue(library())
    ref = entry(Instrument, "odsis").ref
    assert ref in known
    assert known.instrument(ref).id == "odsis"
    with pytest.raises(DefinitionMissing):
        known.policy(ref)


def test_what_is_known_is_not_known_elsewhere() -> None:
    assert entry(Instrument, "odsis").ref not in Catalogue()


def test_definitions_of_a_kind_are_listed_by_id_and_version() -> None:
    versions = [
        changed(Policy, "gryesten-2023", id=name, version=version)
        for name, version in (("b", 2), ("b", 10), ("a", 3), ("b", 1))
    ]
    listed = [(policy.id, policy.version) for _, policy in Catalogue(versions).of_kind(Policy)]
    assert listed == [("a", 3), ("b", 1), ("b", 2), ("b", 10)]


def test_of_several_versions_a_name_means_the_newest() -> None:
    versions = Catalogue(changed(Policy, "gryesten-2023", id="b", version=version) for version in (2, 10, 1))
    newest, first = versions.named(Policy, "b"), versions.named(Policy, "b@1")
    assert newest is not None
    assert first is not None
    assert (newest.model.version, first.model.version) == (10, 1)


def test_a_name_can_mean_a_definition_of_any_kind() -> None:
    known = Catalogue(library())
    for each in library():
        assert known.named(Definition, each.model.id) == known.named(type(each.model), each.model.id)
    assert known.named(Policy, "odsis") is None


@pytest.mark.parametrize("twice", ["needs", "actions"])
def test_a_guidance_names_each_need_and_each_action_once(twice: str) -> None:
    parts = entry(Guidance, "study-needs").body[twice]
    with pytest.raises(ValidationError, match="an id of its own"):
        changed(Guidance, "study-needs", **{twice: [*parts, parts[0]]})


@pytest.mark.parametrize("language", ["en", "da"])
def test_no_text_is_empty_in_any_language(language: str) -> None:
    title = {"en": "A title", "da": "En titel", language: ""}
    with pytest.raises(ValidationError, match=language):
        changed(Guidance, "study-needs", title=title)
