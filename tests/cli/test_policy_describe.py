"""`ontrack policy describe`: any policy as a text without a gap, whose examples hold by the rules themselves."""

import re
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.definitions.catalogue import Catalogue, Entry, entry_of
from contracts.definitions.definition import Language
from contracts.definitions.files import library
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.events.event import fact_id
from contracts.events.tracks import Evidence
from services.cli.policy.examples import Example, Examples
from services.cli.policy.prose import PolicyProse
from services.cli.policy.prose_texts import TEXTS
from services.not_detector.domain.course import Course, Measured, SetByHand, View
from services.not_detector.domain.rules import apply
from tests.cli.homes import policy_file
from tests.support.clinic import FIRST_DAY, Case
from tests.support.command import ontrack, succeeded
from tests.support.policies import own_policy

LANGUAGES: Final[tuple[Language, ...]] = ("en", "da")
SHIPPED: Final = [entry for entry in library() if isinstance(entry.model, Policy)]
SCALES: Final = [
    (entry.ref, entry.model, scale)
    for entry in library()
    if isinstance(entry.model, Instrument)
    for scale in entry.model.scales
]
in_both_languages = pytest.mark.parametrize("language", LANGUAGES)


def told(*arguments: str | Path) -> str:
    return " ".join(succeeded("policy", "describe", *arguments).out.decode().split())


@st.composite
def any_policies(draw: st.DrawFn) -> Entry:
    """Draw a valid policy: any scale that ships, any rules that fit on it, any options."""
    ref, instrument, scale = draw(st.sampled_from(SCALES))
    lowest, highest = instrument.bounds(scale)
    points = st.decimals(Decimal("0.01"), highest - lowest, places=2)
    cut_offs = [cut_off.id for cut_off in instrument.cut_offs if cut_off.scale == scale.id]
    healthy = draw(st.sampled_from([None, *cut_offs]))
    worse = st.fixed_dictionaries(
        {
            "kind": st.just("deterioration/1"),
            "at_least": points.map(str),
            "compared_with": st.sampled_from(["baseline", "previous"]),
        }
    )
    still = st.fixed_dictionaries(
        {
            "kind": st.just("no_change/1"),
            "less_than": (st.sampled_from([Decimal(2), Decimal(3), Decimal(1000)]) | points).map(str),
            "sessions": st.integers(1, 4) | st.integers(1, 100),
            "compared_with": st.sampled_from(["previous", "baseline", "window"]),
            "missing": st.sampled_from(["skip", "break"]),
            "unless_healthy": st.booleans() if healthy else st.just(False),
        }
    )
    figures = st.fixed_dictionaries(
        {
            "sd": points.map(str),
            "alpha": st.decimals(Decimal("0.01"), Decimal("0.99"), places=2).map(str),
            "n": st.integers(2, 10_000),
            "population": st.just("those of {this} clinic"),
            "source": st.just("our own"),
        }
    )
    words = {"en": "What {we} do", "da": "Hvad vi gør"}
    body: dict[str, Any] = {
        "kind": "policy",
        "id": "drawn",
        "version": draw(st.integers(1, 99)),
        "title": words,
        "summary": words,
        "sources": ["The clinic's own"],
        "provisional": draw(st.booleans()),
        "primary": {"instrument": ref, "scale": scale.id, "healthy": healthy},
        "rules": draw(st.lists(worse | still, min_size=1, max_size=4, unique_by=str)),
        "baseline": draw(st.sampled_from(["before_first_session", "first_valid", "explicit"])),
        "once_not": draw(st.sampled_from(["evaluated_again", "stays"])),
        "persistent_after": draw(st.integers(1, 50)),
        "notify": draw(st.sampled_from(["every_not_session", "first_of_episode"])),
        "silent_after": draw(st.integers(1, 50)),
        "reliable_change": draw(st.none() | figures),
    }
    return entry_of(body)


@settings(deadline=None, max_examples=150)
@given(any_policies(), st.sampled_from(LANGUAGES))
def test_any_policy_can_be_described_without_a_gap(entry: Entry, language: Language) -> None:
    # given any valid policy
    known = Catalogue([*library(), entry])
    policy = known.policy(entry.ref)

    # when it is told
    text = "\n".join(
        part for head, paragraphs in PolicyProse(policy, known, language).sections() for part in (head, *paragraphs)
    )

    # then every section is there, nothing is left to fill in, and every number of its rules is told
    assert not re.search(r"\{(?!this\})|None|  ", text)
    for heading in ("looked", "baseline", "rules", "after", "told", "beside", "provisional", "sources", "approval"):
        assert TEXTS[language][heading] in text
    for rule in policy.rules:
        limit = rule.at_least if rule.kind == "deterioration/1" else rule.less_than
        written = f"{limit.normalize():f}"
        assert (written.replace(".", ",") if language == "da" else written) in text


@settings(deadline=None, max_examples=200)
@given(any_policies())
def test_every_example_holds_by_the_rules_themselves(entry: Entry) -> None:
    known = Catalogue([*library(), entry])
    policy = known.policy(entry.ref)
    instrument = known.instrument(policy.primary.instrument)
    scale = instrument.scale(policy.primary.scale)
    assert scale is not None
    healthy = next((cut_off for cut_off in instrument.cut_offs if cut_off.id == policy.primary.healthy), None)
    lowest, highest = instrument.bounds(scale)
    shown = [(rule, example) for rule in policy.rules for example in Examples(instrument, scale, healthy).of(rule)]
    assume(shown)

    for rule, example in shown:
        assert all(lowest <= score <= highest for score in (example.baseline, *example.scores))
        view = View(course_of(entry, example), entry.ref, known)
        fired = apply(rule, view, len(example.scores), view.baseline)
        assert isinstance(fired, Evidence) is example.fires, (rule, example)


def course_of(entry: Entry, example: Example) -> Course:
    """Give a course with the baseline and the scores of an example."""
    primary = entry.body["primary"]
    instrument_id = primary["instrument"].partition("@")[0]
    measured = {
        str(session): Measured(f"score-{session}", primary["instrument"], FIRST_DAY, {primary["scale"]: score})
        for session, score in enumerate(example.scores, 1)
    }
    by_hand = {
        f"{instrument_id}/{primary['scale']}": SetByHand(example.baseline, fact_id("clinic", "test", "baseline"))
    }
    return Course(protocol=Case().protocol, measured={instrument_id: measured}, by_hand=by_hand)


@in_both_languages
@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: str(entry.model.id))
def test_every_policy_that_ships_is_described_to_its_reference(entry: Entry, language: Language) -> None:
    ran = succeeded("policy", "describe", entry.model.id, "--language", language)
    text = ran.out.decode()
    assert text.splitlines()[0] == entry.model.title.in_language(language)
    assert text.splitlines()[-1] == entry.ref
    for source in entry.model.sources:
        assert " ".join(source.split()) in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines()[:-1])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Example: with a baseline of 10 it fires at 13 or higher."),
        ({}, "A patient whose baseline is above 17 cannot get 3 points worse on this scale"),
        (
            {},
            "with a baseline of 10 and then 10, 10 and 10 it fires at session 3. With 10, 10 and 8 instead",
        ),
        (
            {},
            "A patient who gets slowly better, with a baseline of 10 and then 9, 8 and 7, is called not on track by it",
        ),
        ({"persistent_after": 1}, "It is called persistent (pNOT) from its first session on."),
        ({"silent_after": 1}, "A single session whose status is unknown makes a report of its own"),
        ({"once_not": "stays"}, "Once not on track, a patient stays so"),
        ({"notify": "first_of_episode"}, "and not at its further sessions"),
        ({"baseline": "explicit"}, "A patient has a baseline only once a person sets one"),
        ({"provisional": True}, "Part of this policy has no public source."),
    ],
)
def test_what_it_decides_is_said_in_a_sentence(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    assert sentence in told(own_policy(tmp_path, **changes))


def test_a_scale_on_which_lower_is_worse_is_told_in_its_own_direction(tmp_path: Path) -> None:
    text = told(policy_file(tmp_path))
    assert "It can be from 0 to 100, and lower is worse." in text
    # WHO-5 goes in steps of four, and has no 10.
    assert "with a baseline of 48 it fires at 36 or lower" in text
    assert "A patient whose baseline is below 10 cannot get 10 points worse" in text
    assert "A session at which a score was expected and is missing breaks the row." in text
    assert "A score is in the healthy range if it is above 50 (cut-off screen-positive" in text


def test_of_one_session_the_reading_of_the_window_fires_always_and_that_is_said(tmp_path: Path) -> None:
    rules = [{"kind": "no_change/1", "less_than": "2", "sessions": 1, "compared_with": "window"}]
    assert "so it fires at every measured session" in told(own_policy(tmp_path, rules=rules))


def test_one_point_and_one_session_are_told_as_one(tmp_path: Path) -> None:
    rules = [
        {"kind": "deterioration/1", "at_least": "1", "compared_with": "baseline"},
        *(
            {"kind": "no_change/1", "less_than": "1", "sessions": 1, "compared_with": reading}
            for reading in ("previous", "baseline", "window")
        ),
    ]
    text = told(own_policy(tmp_path, rules=rules))
    assert "at least 1 point worse than the baseline" in text
    assert "moved by less than 1 point, up or down, from the measured session before" in text
    assert re.findall(r"\b1 points|\b1 measured sessions", text) == []


def test_numbers_are_written_as_the_language_writes_them(tmp_path: Path) -> None:
    assert "4,5 point" in told(policy_file(tmp_path), "--language", "da")


def test_the_danish_is_danish_and_has_the_words_of_the_reports(tmp_path: Path) -> None:
    told_in_danish = told(own_policy(tmp_path), "--language", "da")

    assert "Med 10, 10 og 8 i stedet gør den det ikke." in told_in_danish
    assert "uden en sådan score er der intet at sammenligne med, før en person sætter en baseline" in told_in_danish
    assert "En score ligger i normalområdet, hvis den er højst 7,5 (cut-off madsen" in told_in_danish


def test_both_languages_say_the_same_with_the_same_gaps() -> None:
    def gaps(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    english, danish = TEXTS["en"], TEXTS["da"]
    assert list(english) == list(danish)
    assert {key: gaps(text) for key, text in english.items()} == {key: gaps(text) for key, text in danish.items()}


def test_a_policy_that_is_not_there_is_refused() -> None:
    ran = ontrack("policy", "describe", "nobody-2023")
    assert (ran.exit_code, "known are gryesten-2023" in ran.told) == (2, True)
