"""Reading a clinic's own definitions: what is right is pinned, what is wrong is named, all of it at once."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import LIBRARY, DefinitionFaults, Fault, library, load, load_directory
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.definitions.wording import Wording

Body = dict[str, Any]


def text(words: str) -> dict[str, str]:
    return {"en": words, "da": f"{words} (på dansk)"}


def an_instrument(**changes: object) -> Body:
    return {
        "kind": "instrument",
        "id": "sleep-diary",
        "version": 1,
        "title": text("Sleep"),
        "sources": ["The clinic's own"],
        "licence": "The clinic's own",
        "languages": ["en", "da"],
        "asked": "before_session",
        "items": [{"id": "nights", "label": text("Bad nights"), "lowest": 0, "highest": 7}],
        "scales": [
            {"id": "nights", "label": text("Bad nights"), "formula": "item/1", "items": ["nights"], "worse": "higher"}
        ],
        "flags": [
            {"id": "nights", "kind": "negative", "items": ["nights"], "at_least": 5, "source": "The clinic's own"}
        ],
        **changes,
    }


A_MEAN: Body = {
    "id": "rest",
    "label": text("Rest"),
    "formula": "mean/1",
    "items": ["nights", "hours"],
    "worse": "higher",
}


def a_policy(**changes: object) -> Body:
    return {
        "kind": "policy",
        "id": "strict",
        "version": 1,
        "title": text("Strict"),
        "sources": ["The clinic's own"],
        "summary": text("Two points worse"),
        "primary": {"instrument": "odsis@1", "scale": "total", "healthy": "madsen"},
        "rules": [{"kind": "deterioration/1", "at_least": "2.5", "compared_with": "baseline"}],
        **changes,
    }


def a_protocol(**changes: object) -> Body:
    return {
        "kind": "protocol",
        "id": "short-course",
        "version": 1,
        "title": text("Short course"),
        "sources": ["The clinic's own"],
        "report": "not_report/1",
        "guidance": "study-needs@1",
        "sessions": [
            {"id": "individual-1", "topic": text("Before"), "minutes": 45},
            {"id": 1, "topic": text("Start"), "minutes": 90},
            {"id": 2, "topic": text("End"), "minutes": 90},
        ],
        "asks": [{"instrument": "odsis@1", "sessions": "every"}],
        "offers": [{"action": "individual-session", "hours": "0.75"}],
        **changes,
    }


def a_guidance(**changes: object) -> Body:
    theme = {"id": "nights", "title": text("Nights"), "openers": [text("How do you sleep?")]}
    need = {
        "id": "sleep",
        "title": text("Sleep"),
        "about": text("Nights"),
        "themes": [theme],
        "signs": ["odsis/frequency"],
    }
    return {
        "kind": "guidance",
        "id": "sleep-needs",
        "version": 1,
        "title": text("Sleep"),
        "sources": ["The clinic's own"],
        "preface": text("A proposal"),
        "needs": [need],
        "actions": [],
        **changes,
    }


def a_wording(**changes: object) -> Body:
    return {
        "kind": "wording",
        "id": "odsis-da",
        "version": 1,
        "title": text("Our licensed words"),
        "sources": ["The clinic's licence"],
        "instrument": "odsis@1",
        "language": "da",
        "items": {"frequency": "…"},
        **changes,
    }


def write(directory: Path, files: Mapping[str, Body | str | bytes]) -> Path:
    for name, content in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case bytes():
                file.write_bytes(content)
            case str():
                file.write_text(content, encoding="utf-8")
            case _:
                file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return directory


def faults_of(directory: Path) -> tuple[Fault, ...]:
    with pytest.raises(DefinitionFaults) as raised:
        load_directory(directory)
    return raised.value.faults


def ref_of(directory: Path, body: Body | str) -> str:
    (entry,) = load_directory(write(directory, {"definition.json": body}))
    return entry.ref


# What is right


def test_a_clinic_adds_its_own_definitions_to_the_library(tmp_path: Path) -> None:
    # given a directory with one definition of each kind, in folders or not
    write(
        tmp_path,
        {
            "sleep.json": an_instrument(),
            "policies/strict.json": a_policy(),
            "protocols/short.json": a_protocol(),
            "guidance.json": a_guidance(),
            "wording.json": a_wording(),
        },
    )

    # when it is loaded
    loaded = load_directory(tmp_path)

    # then exactly these are given, and not the library again
    assert {type(entry.model) for entry in loaded} == {Instrument, Policy, Protocol, Guidance, Wording}
    assert len(loaded) == 5


def test_references_are_pinned_with_the_hash_of_what_they_name(tmp_path: Path) -> None:
    # given files that name an instrument and a guidance of the library by id and version
    known = Catalogue(library())
    odsis, needs = known.named(Instrument, "odsis@1"), known.named(Guidance, "study-needs@1")
    assert odsis is not None
    assert needs is not None
    write(tmp_path, {"a.json": a_policy(), "b.json": a_protocol(), "c.json": a_wording()})

    # when they are loaded
    bodies = {entry.model.id: entry.body for entry in load_directory(tmp_path)}

    # then content and hash name those and no others
    assert bodies["strict"]["primary"]["instrument"] == odsis.ref
    assert bodies["short-course"]["guidance"] == needs.ref
    assert [ask["instrument"] for ask in bodies["short-course"]["asks"]] == [odsis.ref]
    assert bodies["odsis-da"]["instrument"] == odsis.ref
    assert re.fullmatch(r"odsis@1#[0-9a-f]{64}", odsis.ref)


def test_a_reference_may_name_another_file_of_the_directory_whatever_they_are_called(tmp_path: Path) -> None:
    # given files that stand before those they refer to
    write(
        tmp_path,
        {
            "a-policy.json": a_policy(primary={"instrument": "sleep-diary", "scale": "nights"}),
            "b-protocol.json": a_protocol(guidance="sleep-needs", asks=[{"instrument": "sleep-diary@1"}], offers=[]),
            "c-guidance.json": a_guidance(),
            "d-wording.json": a_wording(instrument="sleep-diary@1", items={"nights": "Nights with too little sleep"}),
            "e-instrument.json": an_instrument(),
        },
    )

    # when they are loaded
    refs = {entry.model.id: entry.ref for entry in load_directory(tmp_path)}
    bodies = {entry.model.id: entry.body for entry in load_directory(tmp_path)}

    # then they are pinned to each other
    assert bodies["strict"]["primary"]["instrument"] == refs["sleep-diary"]
    assert bodies["short-course"]["guidance"] == refs["sleep-needs"]
    assert bodies["odsis-da"]["instrument"] == refs["sleep-diary"]


def test_a_guidance_may_name_the_flags_of_an_instrument_in_a_later_file(tmp_path: Path) -> None:
    # given a guidance in a file that stands before that of the instrument
    needs = a_guidance()["needs"]
    needs[0]["signs"] = ["sleep-diary/nights"]
    write(tmp_path, {"a-guidance.json": a_guidance(needs=needs), "b-instrument.json": an_instrument()})

    # then both are loaded
    assert len(load_directory(tmp_path)) == 2


def test_a_name_without_a_version_means_the_newest(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "1.json": an_instrument(version=2),
            "2.json": an_instrument(version=10),
            "3.json": an_instrument(),
            "policy.json": a_policy(primary={"instrument": "sleep-diary", "scale": "nights"}),
        },
    )
    (policy,) = [entry.body for entry in load_directory(tmp_path) if isinstance(entry.model, Policy)]
    assert policy["primary"]["instrument"].startswith("sleep-diary@10#")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"licence": "Another"},
        {"title": text("Slumber")},
        {"sources": ["The clinic's own", "Another"]},
        {"provisional": True},
        {"asked": "by_clinic"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_changes_with_the_content(tmp_path: Path, change: Body) -> None:
    before = ref_of(tmp_path / "before", an_instrument())
    after = ref_of(tmp_path / "after", an_instrument(**change))
    assert before.partition("#")[2] != after.partition("#")[2]


def test_the_hash_of_a_policy_changes_with_the_instrument_that_it_names(tmp_path: Path) -> None:
    # given one policy and two clinics, whose instruments of the same id and version differ
    policy = a_policy(primary={"instrument": "sleep-diary@1", "scale": "nights"})
    write(tmp_path / "one", {"instrument.json": an_instrument(), "policy.json": policy})
    write(tmp_path / "two", {"instrument.json": an_instrument(licence="Another"), "policy.json": policy})

    # when both are loaded
    one, two = (
        [entry.ref for entry in load_directory(tmp_path / clinic) if isinstance(entry.model, Policy)]
        for clinic in ("one", "two")
    )

    # then the references tell the policies apart
    assert one != two


def reversed_keys(body: Body) -> Body:
    return {key: reversed_inside(part) for key, part in reversed(body.items())}


def reversed_inside(value: object) -> object:
    match value:
        case dict():
            return reversed_keys(value)
        case list():
            return [reversed_inside(part) for part in value]
        case _:
            return value


@pytest.mark.parametrize(
    "layout",
    [
        lambda body: json.dumps(body, indent=8),
        lambda body: json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        lambda body: json.dumps(reversed_keys(body), indent=1),
        lambda body: f"\n\n\t{json.dumps(body)}\r\n",
    ],
    ids=["indented", "dense", "keys reversed", "space around"],
)
def test_the_hash_does_not_change_with_key_order_or_whitespace(tmp_path: Path, layout: Callable[[Body], str]) -> None:
    assert ref_of(tmp_path / "other", layout(a_protocol())) == ref_of(tmp_path / "plain", a_protocol())


def test_the_same_definition_twice_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, {"a.json": an_instrument(), "b.json": reversed_keys(an_instrument())})
    first, second = load_directory(tmp_path)
    assert first.ref == second.ref


def test_a_copy_of_the_library_is_no_fault(tmp_path: Path) -> None:
    # given a clinic that copied a file of the library to work on it, and has not changed it yet
    original = LIBRARY / "instruments" / "odsis.json"
    write(tmp_path, {"odsis.json": original.read_bytes()})

    # then it is the same definition
    (entry,) = load_directory(tmp_path)
    known = Catalogue(library()).named(Instrument, "odsis@1")
    assert known is not None
    assert entry.ref == known.ref


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    # given a file as an editor on Windows writes it
    write(tmp_path, {"marked.json": b"\xef\xbb\xbf" + json.dumps(an_instrument()).encode()})

    # then it is the definition that it would be without its mark
    (marked,) = load_directory(tmp_path)
    write(tmp_path, {"marked.json": an_instrument()})
    (plain,) = load_directory(tmp_path)
    assert marked.ref == plain.ref


def in_fhir(**changes: object) -> Body:
    """Give how the sleep diary stands in FHIR."""
    codes = [f"n{number}" for number in range(8)]
    return {
        "sources": ["The clinic's own"],
        "code": {"system": "urn:clinic", "code": "sleep"},
        "answer_system": "urn:clinic:nights",
        "items": {"nights": {"links": ["q1"], "answers": codes}},
        **changes,
    }


def test_an_instrument_says_how_it_stands_in_fhir_or_says_nothing_of_it(tmp_path: Path) -> None:
    write(tmp_path, {"said.json": an_instrument(fhir=in_fhir()), "unsaid.json": an_instrument(id="other")})
    said, unsaid = sorted(load_directory(tmp_path), key=lambda entry: entry.model.id, reverse=True)
    assert isinstance(said.model, Instrument)
    assert isinstance(unsaid.model, Instrument)
    assert said.model.fhir is not None
    assert said.model.fhir.items["nights"].answers[7] == "n7"
    assert unsaid.model.fhir is None
    assert "fhir" not in unsaid.body


# What is wrong

Case = tuple[Body | str | bytes, str, str]

FAULTY: dict[str, Case] = {
    # what is wrong: content of the file, path of the fault, a part of what was expected
    "broken JSON": ('{"kind": "policy",\n  "id": }', "line 2, column 9", "JSON: "),
    "an empty file": ("", "line 1, column 1", "JSON: "),
    "not UTF-8": (json.dumps(an_instrument(licence="Vores egen å"), ensure_ascii=False).encode("latin-1"), "", "UTF-8"),
    "a list": ("[]", "kind", "one of instrument, protocol, policy, guidance, wording was expected"),
    "no kind": ({"id": "nothing"}, "kind", "one of instrument, protocol, policy, guidance, wording was expected"),
    "an unknown kind": (an_instrument(kind="questionnaire"), "kind", "one of instrument, protocol"),
    "a float": (
        json.dumps(a_policy()).replace('"2.5"', "2.5"),
        "the number 2.5",
        'a whole number or a decimal in quotes was expected ("2.5")',
    ),
    "an unknown field": (an_instrument(licens="typing error"), "licens", "there is nothing of this name here"),
    "an unknown field deep inside": (
        an_instrument(
            items=[
                {"id": "nights", "label": text("Nights"), "lowest": 0, "highest": 7},
                {"id": "hours", "label": text("Hours"), "lowest": 0, "highest": 24, "unit": "h"},
            ]
        ),
        "items.1.unit",
        "there is nothing of this name here",
    ),
    "a missing field": ({k: v for k, v in an_instrument().items() if k != "licence"}, "licence", "this is missing"),
    "a missing language": (an_instrument(title={"en": "Sleep"}), "title.da", "this is missing"),
    "an empty text": (
        an_instrument(title={"en": "Sleep", "da": ""}),
        "title.da",
        "text was expected, and there is none",
    ),
    "no source": (an_instrument(sources=[]), "sources", "at least 1 was expected"),
    "a bad id": (an_instrument(id="Sleep Diary"), "id", "small letters, digits and - were expected"),
    "a flag for an item that is not there": (
        an_instrument(flags=[{"id": "x", "kind": "negative", "items": ["days"], "at_least": 1, "source": "Our own"}]),
        "",
        "items of this instrument were expected, not: days",
    ),
    "link ids of items that are not there": (
        an_instrument(fhir=in_fhir(items={"days": {"links": ["q1"]}})),
        "",
        "exactly the items of this instrument were expected in fhir.items: nights",
    ),
    "a link id of two things": (
        an_instrument(fhir=in_fhir(comment=["q1"])),
        "",
        "each link id once was expected in fhir",
    ),
    "fewer codes than values": (
        an_instrument(fhir=in_fhir(items={"nights": {"links": ["q1"], "answers": ["n0", "n1"]}})),
        "",
        "a code of its own was expected for each of the 8 values of nights in fhir",
    ),
    "a code of two values": (
        an_instrument(fhir=in_fhir(items={"nights": {"links": ["q1"], "answers": ["n0"] * 8}})),
        "",
        "a code of its own was expected for each of the 8 values of nights in fhir",
    ),
    "codes of no system": (
        an_instrument(fhir=in_fhir(answer_system=None)),
        "",
        "the answer_system of the codes of answers was expected in fhir",
    ),
    "a link id with a space": (
        an_instrument(fhir=in_fhir(items={"nights": {"links": ["q 1"]}})),
        "fhir.items.nights.links.0",
        "text without spaces was expected",
    ),
    "a flag with two limits": (
        an_instrument(
            flags=[
                {"id": "x", "kind": "negative", "items": ["nights"], "at_least": 5, "at_most": 1, "source": "Our own"}
            ]
        ),
        "flags.0",
        "either at_least or at_most was expected",
    ),
    "an unknown rule": (
        a_policy(
            rules=[*a_policy()["rules"], {"kind": "deterioration/9", "at_least": "3", "compared_with": "baseline"}]
        ),
        "rules.1",
        "deterioration/1",
    ),
    "a limit of nothing": (
        a_policy(
            rules=[*a_policy()["rules"], {"kind": "deterioration/1", "at_least": "0", "compared_with": "baseline"}]
        ),
        "rules.1.at_least",
        "more than 0 was expected",
    ),
    "an unknown instrument in a policy": (
        a_policy(primary={"instrument": "mdi@1", "scale": "total"}),
        "primary.instrument",
        "a known instrument was expected: bdi-ii@1, ",
    ),
    "an unknown version of an instrument": (
        a_policy(primary={"instrument": "odsis@7", "scale": "total"}),
        "primary.instrument",
        "a known instrument was expected: ",
    ),
    "an instrument of other content": (
        a_policy(primary={"instrument": f"odsis@1#{'0' * 64}", "scale": "total"}),
        "primary.instrument",
        "a known instrument was expected: ",
    ),
    "a policy where an instrument belongs": (
        a_policy(primary={"instrument": "gryesten-2023@1", "scale": "total"}),
        "primary.instrument",
        "a known instrument was expected: ",
    ),
    "a scale that does not exist": (
        a_policy(primary={"instrument": "gq-12@1", "scale": "total"}),
        "primary.scale",
        "a scale of gq-12 was expected: negative-relationship, positive-bonding, positive-working",
    ),
    "a cut-off that does not exist": (
        a_policy(primary={"instrument": "odsis@1", "scale": "total", "healthy": "spanish"}),
        "primary.healthy",
        "a cut-off of that scale was expected: bentley-2014, madsen",
    ),
    "health without a cut-off": (
        a_policy(
            primary={"instrument": "odsis@1", "scale": "total"},
            rules=[
                {
                    "kind": "no_change/1",
                    "less_than": "2",
                    "sessions": 3,
                    "compared_with": "window",
                    "unless_healthy": True,
                }
            ],
        ),
        "",
        "primary.healthy, the id of a cut-off, was expected",
    ),
    "an unknown instrument in a protocol": (
        a_protocol(asks=[{"instrument": "odsis@1"}, {"instrument": "mdi@1"}]),
        "asks.1.instrument",
        "a known instrument was expected: ",
    ),
    "an unknown guidance": (
        a_protocol(guidance="our-needs@1"),
        "guidance",
        "a known guidance was expected: study-needs@1",
    ),
    "an unknown action": (
        a_protocol(offers=[{"action": "hypnosis", "hours": "1"}]),
        "offers.0.action",
        "individual-session",
    ),
    "a session that the course does not have": (
        a_protocol(asks=[{"instrument": "odsis@1", "sessions": [1, 3]}]),
        "asks.0.sessions",
        "sessions of this protocol were expected",
    ),
    "a sign that is no flag": (
        a_guidance(needs=[{**a_guidance()["needs"][0], "signs": ["odsis/appetite"]}]),
        "needs.0.signs",
        "a flag of a known instrument was expected, not odsis/appetite",
    ),
    "an action for a need that is not there": (
        a_guidance(
            actions=[{"id": "x", "title": text("X"), "about": text("X"), "origin": "other", "needs": ["light"]}]
        ),
        "",
        "needs of this guidance were expected in its actions, not: light",
    ),
    "a limit longer than the scale": (
        a_policy(rules=[{"kind": "deterioration/1", "at_least": "20.5", "compared_with": "baseline"}]),
        "rules.0.at_least",
        "at most 20, the length of the scale, was expected",
    ),
    "no change of more points than the scale has": (
        a_policy(
            rules=[{"kind": "no_change/1", "less_than": "20.5", "sessions": 3, "compared_with": "previous"}],
        ),
        "rules.0.less_than",
        "at most 20, the length of the scale, was expected",
    ),
    "an item that others of another range stand for": (
        an_instrument(
            items=[*an_instrument()["items"], {"id": "hours", "label": text("Hours"), "lowest": 0, "highest": 24}],
            scales=[*an_instrument()["scales"], {**A_MEAN, "missing_at_most": 1}],
        ),
        "scales.1.items",
        "items of one range were expected",
    ),
    "a mean that is multiplied": (
        an_instrument(scales=[{**A_MEAN, "items": ["nights"], "times": 10}]),
        "scales.0.times",
        "1 was expected: only a sum is multiplied",
    ),
    "a count of answers that are always above nought": (
        an_instrument(
            items=[{"id": "nights", "label": text("Bad nights"), "lowest": 1, "highest": 2}],
            scales=[{**A_MEAN, "formula": "count/1", "items": ["nights"]}],
            flags=[],
        ),
        "scales.0.items",
        "items that can be 0 and above were expected",
    ),
    "a cut-off by which those are ill who are better": (
        an_instrument(
            cut_offs=[
                {
                    "id": "limit",
                    "scale": "nights",
                    "value": 5,
                    "ill": "at_most",
                    "meaning": text("Sleepless"),
                    "population": "The clinic's own",
                    "source": "The clinic's own",
                }
            ]
        ),
        "cut_offs.0.ill",
        "at_least or more_than was expected: higher is worse on this scale",
    ),
    "the same rule twice": (
        a_policy(rules=[*a_policy()["rules"], *a_policy()["rules"]]),
        "rules.1",
        "each rule once was expected",
    ),
    "a wording of a question that is not there": (
        a_wording(items={"frequency": "…", "appetite": "…"}),
        "items.appetite",
        "an item of the instrument was expected: engagement, frequency, intensity, social_life, work_school_home",
    ),
    "a wording of nothing": (
        a_wording(instrument="mdi@1"),
        "instrument",
        "a known instrument was expected: ",
    ),
    "other content under a name of the library": (
        {**a_policy(), "id": "gryesten-2023"},
        "version",
        "another version was expected: gryesten-2023@1 has other content in what is known already",
    ),
}


@pytest.mark.parametrize(("content", "path", "expected"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_names_its_file_its_place_and_what_was_expected(
    tmp_path: Path, content: Body | str | bytes, path: str, expected: str
) -> None:
    # given a directory with one file that is wrong
    file = write(tmp_path, {"clinic/faulty.json": content}) / "clinic" / "faulty.json"

    # when it is loaded
    faults = faults_of(tmp_path)

    # then the fault is found where it is
    assert [(fault.file, fault.path) for fault in faults] == [(str(file), path)]
    assert expected in faults[0].expected
    assert str(faults[0]) == f"{file}: {path or 'the file'}: {faults[0].expected}"


def test_a_limit_as_long_as_the_scale_is_taken(tmp_path: Path) -> None:
    # given a rule that asks for the whole length of a scale that does not begin at nought
    longest = [{"kind": "deterioration/1", "at_least": 6, "compared_with": "baseline"}]
    write(tmp_path, {"p.json": a_policy(primary={"instrument": "gq-12", "scale": "positive-bonding"}, rules=longest)})

    # when it is loaded, then nothing is wrong with it
    assert len(load_directory(tmp_path)) == 1


def under_an_id_of_its_own(content: Body | str | bytes, number: int) -> Body | str | bytes:
    """Keep two faulty files from being refused for their id, unless the id is the fault."""
    if not isinstance(content, dict) or content.get("id") in {"gryesten-2023", "Sleep Diary"}:
        return content
    return {**content, "id": f"{content['id']}-{number}"}


PLAIN: dict[str, tuple[Body, list[str]]] = {
    "content that has two forms": (
        a_protocol(sessions=5),
        ["sessions: any was expected, or a list was expected"],
    ),
    "a fault within one of two forms": (
        a_protocol(sessions=[{"id": 1, "topic": text("Start"), "minutes": 0}]),
        ["sessions.0.minutes: at least 1 was expected"],
    ),
    "an entry of two forms": (
        a_protocol(asks=[{"instrument": "odsis@1", "sessions": ["later"]}]),
        ["asks.0.sessions.0: a whole number was expected, or individual-1 to -9 was expected"],
    ),
    "a choice": (an_instrument(asked="sometimes"), ["asked: before_session, after_session or by_clinic was expected"]),
    "a list with a wrong entry only": (
        an_instrument(items=[7]),
        ["items.0: names with values in braces were expected"],
    ),
    "text for a number": (
        a_policy(persistent_after="three", silent_after=0),
        ["persistent_after: a whole number was expected", "silent_after: at least 1 was expected"],
    ),
    "a sign that is no flag of an instrument": (
        a_guidance(needs=[{**a_guidance()["needs"][0], "signs": ["appetite"]}]),
        ["needs.0.signs.0: the flag of an instrument was expected, such as odsis/intensity"],
    ),
    "a rule that says nothing": (a_policy(rules=[{}]), ["rules.0: a kind was expected"]),
}


@pytest.mark.parametrize(("content", "told"), PLAIN.values(), ids=PLAIN.keys())
def test_a_fault_is_told_in_plain_words_at_a_place_that_is_in_the_file(
    tmp_path: Path, content: Body, told: list[str]
) -> None:
    write(tmp_path, {"faulty.json": content})
    assert [f"{fault.path}: {fault.expected}" for fault in faults_of(tmp_path)] == told


def test_all_faults_of_all_files_are_found_at_once(tmp_path: Path) -> None:
    # given a directory with everything that can be wrong, each in a file and under an id of its own, and a right file
    for number, (content, _, _) in enumerate(FAULTY.values()):
        write(tmp_path, {f"{number:02}.json": under_an_id_of_its_own(content, number)})
    write(tmp_path, {"right.json": an_instrument()})

    # when it is loaded
    faults = faults_of(tmp_path)

    # then each of them is named, and what is right is not
    found = {(Path(fault.file).name, fault.path) for fault in faults}
    assert found == {(f"{number:02}.json", path) for number, (_, path, _) in enumerate(FAULTY.values())}


def test_every_fault_of_one_file_is_found_at_once(tmp_path: Path) -> None:
    # given one file with four errors
    wrong = an_instrument(licens="ours", asked="sometimes", version=0)
    del wrong["licence"]
    write(tmp_path, {"faulty.json": wrong})

    # then all of them are named
    assert sorted(fault.path for fault in faults_of(tmp_path)) == ["asked", "licence", "licens", "version"]


def test_all_unknown_references_of_one_file_are_found_at_once(tmp_path: Path) -> None:
    wrong = a_protocol(guidance="ours", asks=[{"instrument": "mdi"}, {"instrument": "odsis"}, {"instrument": "scl"}])
    write(tmp_path, {"faulty.json": wrong})
    assert [fault.path for fault in faults_of(tmp_path)] == ["guidance", "asks.0.instrument", "asks.2.instrument"]


def test_an_unknown_reference_does_not_hide_other_faults_of_its_file(tmp_path: Path) -> None:
    # given a policy that judges an instrument that is not known, and has two more faults
    wrong = a_policy(primary={"instrument": "mdi@1", "scale": "total"}, persistent_after=0, licens="typing error")
    write(tmp_path, {"faulty.json": wrong})

    # then all of them are named
    assert sorted(fault.path for fault in faults_of(tmp_path)) == ["licens", "persistent_after", "primary.instrument"]


def test_a_reference_that_is_none_is_one_fault(tmp_path: Path) -> None:
    write(tmp_path, {"faulty.json": a_policy(primary={"instrument": "Not A Name", "scale": "total"})})
    assert [fault.path for fault in faults_of(tmp_path)] == ["primary.instrument"]


@pytest.mark.parametrize("name", ["case", "session", "answered_at", "instrument", "comment"])
def test_an_item_is_not_named_like_another_column_of_a_file(tmp_path: Path, name: str) -> None:
    # given an instrument with an item that has the name of a column that means something else
    item = {"id": name, "label": text("Nights"), "lowest": 0, "highest": 7}
    write(tmp_path, {"faulty.json": an_instrument(items=[*an_instrument()["items"], item])})

    # then it is refused
    (fault,) = faults_of(tmp_path)
    assert fault.path == f"items.{len(an_instrument()['items'])}.id"
    assert fault.expected == f"another id was expected: files of responses have a column {name}"


def test_one_name_and_version_has_one_content(tmp_path: Path) -> None:
    # given two files with the same id and version, and other content
    write(tmp_path, {"a.json": an_instrument(), "b.json": an_instrument(licence="Another")})

    # when they are loaded
    (fault,) = faults_of(tmp_path)

    # then the second is refused, and says where the first one is
    assert (Path(fault.file).name, fault.path) == ("b.json", "version")
    assert fault.expected.startswith("another version was expected: sleep-diary@1 has other content in ")
    assert fault.expected.endswith("a.json")


def test_a_message_lists_the_faults_one_a_line(tmp_path: Path) -> None:
    write(tmp_path, {"a.json": "{", "b.json": an_instrument(kind="test")})
    with pytest.raises(DefinitionFaults) as raised:
        load_directory(tmp_path)
    assert str(raised.value).splitlines() == [str(fault) for fault in raised.value.faults]
    assert len(raised.value.faults) == 2


def test_an_empty_directory_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path, {"readme.txt": "no definitions here"})
    assert faults_of(tmp_path) == (Fault(str(tmp_path), "", "at least one .json file was expected"),)


def test_a_directory_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert faults_of(missing) == (Fault(str(missing), "", "a directory with .json files was expected"),)


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    # given a folder that is called like a file
    folder = tmp_path / "folder.json"
    folder.mkdir()

    # then it is named as what it is
    (fault,) = faults_of(tmp_path)
    assert fault.file == str(folder)
    assert fault.expected.startswith("a readable file was expected")


def test_files_with_faults_leave_nothing_behind(tmp_path: Path) -> None:
    # given a right file and a wrong one
    write(tmp_path, {"right.json": an_instrument(), "wrong.json": "{"})
    assert len(faults_of(tmp_path)) == 1

    # when the wrong one is taken away
    (tmp_path / "wrong.json").unlink()

    # then the right one is loaded, and the library is as it was
    assert [entry.model.id for entry in load_directory(tmp_path)] == ["sleep-diary"]
    assert "sleep-diary" not in {entry.model.id for entry in library()}


def test_the_library_needs_no_other_definitions() -> None:
    assert [entry.ref for entry in load(sorted(LIBRARY.rglob("*.json")))] == [entry.ref for entry in library()]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"kind": ["policy"]}', "kind", "one of instrument"),
        ('{"kind": "policy", "id": "a", "id": "b"}', "id", "each name once"),
        ('{"kind": "policy", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "", "less nesting"),
    ],
)
def test_a_file_that_would_mislead_or_break_a_reader_is_refused(
    tmp_path: Path, text: str, path: str, expected: str
) -> None:
    # given
    (tmp_path / "odd.json").write_text(text, encoding="utf-8")

    # when
    with pytest.raises(DefinitionFaults) as refused:
        load_directory(tmp_path)

    # then
    (fault,) = refused.value.faults
    assert (fault.path, expected in fault.expected) == (path, True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"items": [{"id": "nights", "label": {"en": "N", "da": "N"}, "lowest": 4, "highest": 4}]},
            "lowest was expected below highest",
        ),
        ({"items": [{"id": "nights", "label": {"en": "N", "da": "N"}, "lowest": 0, "highest": 10**30}]}, "64 bits"),
    ],
)
def test_an_item_has_a_range_that_every_reader_can_hold(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    # given
    body = {**an_instrument(), **changes}
    (tmp_path / "odd.json").write_text(json.dumps(body), encoding="utf-8")

    # when
    with pytest.raises(DefinitionFaults) as refused:
        load_directory(tmp_path)

    # then
    assert any(expected in fault.expected for fault in refused.value.faults)


def test_a_mean_of_items_with_ranges_of_their_own_reaches_from_the_mean_of_the_lowest_to_that_of_the_highest(
    tmp_path: Path,
) -> None:
    # given an instrument with a mean of two items, one of which goes to 7 and one to 24
    content = an_instrument(
        items=[*an_instrument()["items"], {"id": "hours", "label": text("Hours"), "lowest": 1, "highest": 24}],
        scales=[*an_instrument()["scales"], A_MEAN],
    )
    write(tmp_path, {"sleep.json": content})

    # when it is loaded
    [entry] = load_directory(tmp_path)

    # then its bounds are the least and the most that answers can give
    instrument = entry.model
    assert isinstance(instrument, Instrument)
    scale = instrument.scales[1]
    values = [instrument.value(scale, answers) for answers in ({"nights": 0, "hours": 1}, {"nights": 7, "hours": 24})]
    assert list(instrument.bounds(scale)) == values == [Decimal("0.5"), Decimal("15.5")]
