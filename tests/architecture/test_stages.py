"""Each stage acts on exactly the events that its step names: an event that one of the two forgets has no effect.

The first half of this file reads the events of a step, the second half shows that the stages agree with theirs, and
that the table of topics names the services that have them.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Final

import pytest

from contracts.events.event import Data
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, NOTICES, SCORES, TOPICS, TRACKS, Topic
from services.ingest.domain.register import Register
from services.mailer.domain.mailbag import Mailbags
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.scoring.domain.stage import Scoring

STAGES: Final = (Scoring, Register, NotDetector, Notifier, Mailbags)


def named(step: ast.AST) -> Iterator[str]:
    """Give the events that the cases of a step's `match event.data` name."""
    for node in ast.walk(step):
        if isinstance(node, ast.Match) and ast.unparse(node.subject) == "event.data":
            for case in node.cases:
                yield from in_pattern(case.pattern)


def in_pattern(pattern: ast.pattern) -> Iterator[str]:
    match pattern:
        case ast.MatchClass(cls=ast.Name(id=name)):
            yield name
        case ast.MatchOr(patterns=patterns):
            for each in patterns:
                yield from in_pattern(each)
        case ast.MatchAs(pattern=ast.pattern() as inner):
            yield from in_pattern(inner)


def taken_by(stage: type) -> set[type[Data]]:
    """Find the events that the cases of a stage's step name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(stage)))
    known = vars(sys.modules[stage.__module__])
    return {known[name] for name in named(tree)}


@pytest.mark.parametrize("stage", [NotDetector, Notifier, Mailbags], ids=lambda stage: stage.name)
def test_a_stage_acts_on_the_events_that_its_step_names_and_on_no_other(
    stage: type[NotDetector | Notifier | Mailbags],
) -> None:
    assert taken_by(stage) == stage.acts_on


@pytest.mark.parametrize("stage", [Scoring, Register], ids=lambda stage: stage.name)
def test_a_stage_that_must_know_every_fact_again_acts_on_all_that_it_reads(stage: type[Scoring | Register]) -> None:
    assert stage.acts_on == frozenset(stage.reads.events)
    assert taken_by(stage) <= stage.acts_on


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_acts_only_on_what_its_topic_carries(
    stage: type[Scoring | Register | NotDetector | Notifier | Mailbags],
) -> None:
    assert stage.acts_on <= frozenset(stage.reads.events)


def service_of(stage: type) -> str:
    """Name the service that a stage belongs to, by the folder it stands in."""
    return stage.__module__.split(".")[1]


@pytest.mark.parametrize("topic", [CASES, SCORES, TRACKS, NOTICES], ids=lambda topic: topic.name)
def test_the_table_of_topics_names_those_whose_stages_read_and_write(topic: Topic) -> None:
    # given the stages, and ingest, which records facts and is no stage when it does
    recording = {"ingest"} if topic is CASES else set()
    assert {*topic.read_by} == {service_of(stage) for stage in STAGES if stage.reads is topic}
    assert {*topic.written_by} == {service_of(stage) for stage in STAGES if stage.writes is topic} | recording


def test_every_service_with_a_stage_reads_the_definitions() -> None:
    assert {*DEFINITIONS.read_by} == {service_of(stage) for stage in STAGES}


def test_the_stage_that_makes_something_of_facts_reports_those_that_it_cannot_read() -> None:
    assert {*DEAD_LETTERS.written_by} == {
        service_of(stage) for stage in STAGES if stage.reads is CASES and stage.writes is not None
    }


def test_a_topic_names_a_service_once() -> None:
    for topic in TOPICS.values():
        assert len({*topic.read_by}) == len(topic.read_by)
        assert len({*topic.written_by}) == len(topic.written_by)


def test_the_events_of_a_step_are_found_in_every_form_that_a_case_can_have() -> None:
    # given a step whose cases name events alone, together, with a name, with fields and with a condition
    step = ast.parse(
        textwrap.dedent("""
            match event.data:
                case SessionDue():
                    pass
                case SessionMoved() | SessionScheduled() as planned:
                    pass
                case CaseClosed(reason=reason) if reason:
                    pass
                case _:
                    match event.data.status:
                        case "unknown":
                            pass
        """)
    )

    # when its events are read, then every one is found and nothing else
    assert sorted(named(step)) == ["CaseClosed", "SessionDue", "SessionMoved", "SessionScheduled"]
