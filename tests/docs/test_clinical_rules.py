"""The clinical rules as they are written are what the system does: every example runs, every table is compared."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, get_args

import pytest

from contracts.definitions.policy import Deterioration, NoChange, Policy
from contracts.events.notices import NoticeReason, ReportChange, ReportKind
from contracts.events.scores import SetAsideReason
from contracts.events.tracks import AnnotationKind, Decision, TrackRevised
from tests.docs import library_tables
from tests.docs.markdown import CLINICAL_RULES, Row, drawn, named, parts, table
from tests.support.clinic import NOT, ON, UNKNOWN, Case, a_case, policy_like, rule

STATUSES: Final = {"on": ON, "NOT": NOT, "unknown": UNKNOWN}
NOT_ASKED: Final = "not asked"


def rows(name: str) -> list[Row]:
    return table(CLINICAL_RULES, name)


def each_row(name: str) -> pytest.MarkDecorator:
    found = rows(name)
    return pytest.mark.parametrize("row", found, ids=[" ".join(row.values())[:60] for row in found])


def told(baseline: str, sessions: str, policy: str = "gryesten-2023") -> Case:
    """Tell the story of a row."""
    case = a_case(None if baseline == "none" else int(baseline), policy)
    for session, cell in enumerate(parts(sessions), 1):
        if cell == "missed":
            case.missed(session)
        elif cell != NOT_ASKED:
            case.answered(session, int(cell))
    return case


def statuses(cell: str) -> list[str]:
    return [STATUSES[status] for status in parts(cell)]


# The examples


@each_row("examples")
def test_an_example_holds(row: Row) -> None:
    assert told(row["baseline"], row["sessions"]).statuses == statuses(row["status after each"])


@each_row("examples")
def test_an_example_says_which_rules_fired_and_on_which_numbers(row: Row) -> None:
    # given the decisions of an example, and what the page says of the rules that fired
    case = told(row["baseline"], row["sessions"])
    fired = re.findall(r"deterioration at session (\d+): (\d+) is (\d+) worse than (\d+)", row["why"])
    unchanged = re.findall(r"no change at session (\d+): (\d+(?: → \d+)+)", row["why"])

    # when the evidence is put in the same words
    expected_fired, expected_unchanged = [], []
    for decision in holding(case):
        for evidence in decision.rules:
            values, changes = evidence.values, evidence.changes
            before = values[0] - changes[0]
            if evidence.rule == "deterioration/1":
                expected_fired.append((str(decision.session), str(values[0]), str(changes[0]), str(before)))
            else:
                chain = " → ".join(str(value) for value in (before, *values))
                expected_unchanged.append((str(decision.session), chain))

    # then it is what the page says
    assert (fired, unchanged) == (expected_fired, expected_unchanged)


SAID: Final[dict[str, Callable[[Decision], bool]]] = {
    "not measured": lambda decision: decision.unknown_because == "not_measured",
    "no baseline": lambda decision: decision.unknown_because == "no_baseline",
    "silence": lambda decision: decision.silent,
    "cannot deteriorate": lambda decision: "cannot_deteriorate" in {a.kind for a in decision.annotations},
    "cannot improve": lambda decision: "cannot_improve" in {a.kind for a in decision.annotations},
    "persistent": lambda decision: decision.episode is not None and decision.episode.persistent,
}


@each_row("examples")
@pytest.mark.parametrize("words", SAID)
def test_an_example_says_what_else_is_worth_knowing_and_nothing_that_is_not_so(row: Row, words: str) -> None:
    is_so = any(SAID[words](decision) for decision in holding(told(row["baseline"], row["sessions"])))
    assert (words in row["why"]) == is_so


@each_row("examples")
def test_an_example_counts_the_episode_right(row: Row) -> None:
    said = re.search(r"an episode of (\d+)", row["why"])
    last = holding(told(row["baseline"], row["sessions"]))[-1].episode
    length = 0 if last is None else len(last.sessions)
    assert length == int(said[1]) if said is not None else length <= 1


@each_row("examples")
def test_an_example_says_how_many_points_are_left(row: Row) -> None:
    said = re.search(r"cannot (?:deteriorate|improve): (\d+) point", row["why"])
    found = [
        annotation.value
        for annotation in holding(told(row["baseline"], row["sessions"]))[0].annotations
        if annotation.kind in ("cannot_deteriorate", "cannot_improve")
    ]
    assert found == ([] if said is None else [Decimal(said[1])])


@each_row("readings")
def test_a_reading_gives_what_the_page_says(row: Row) -> None:
    for column in list(row)[2:]:
        case = told(row["baseline"], row["sessions"], named(column))
        assert case.statuses[-1] == STATUSES[row[column]], column


@each_row("options in use")
def test_an_option_changes_what_the_page_says(row: Row) -> None:
    case = told(row["baseline"], row["sessions"], changed_policy(named(row["changed"])))
    assert case.statuses == statuses(row["status after each"])


def changed_policy(change: str) -> str:
    """Give the default policy with one thing changed: `option: value`, or `rule option: value`."""
    if change == "nothing":
        return "gryesten-2023"
    name, _, text = change.partition(": ")
    value: Any = {"yes": True, "no": False}.get(text, text)
    kind, _, option = name.rpartition(" ")
    if not kind:
        return policy_like(**{option: value})
    kinds = ["deterioration/1", "no_change/1"]
    assert kind in kinds
    return policy_like(rules=[rule(each, **({option: value} if each == kind else {})) for each in kinds])


@each_row("afterwards")
def test_what_comes_afterwards_changes_what_the_page_says(row: Row) -> None:
    # given a case as it stood
    case = told(row["baseline"], row["sessions"])
    assert case.statuses == statuses(row["status before"])

    # when something comes afterwards
    comes_afterwards(case, row["then"])

    # then the statuses, the decisions that were announced again and the notices are those of the page
    assert case.statuses == statuses(row["status after"])
    assert [decision.session for decision in case.told(TrackRevised)] == [int(n) for n in parts(row["announced again"])]
    assert case.notices() == parts(row["notices"])


def comes_afterwards(case: Case, what: str) -> None:
    if found := re.fullmatch(r"session (\d+) corrected to (\d+)", what):
        case.corrected(int(found[1]), int(found[2]))
    elif found := re.fullmatch(r"session (\d+) answered late: (\d+)", what):
        case.answered(int(found[1]), int(found[2]))
    elif found := re.fullmatch(r"session (\d+) withdrawn", what):
        case.withdrawn(int(found[1]))
    elif found := re.fullmatch(r"baseline set to (\d+)", what):
        case.baseline_set(int(found[1]))
    else:
        pytest.fail(f"no such thing is known: {what}")


@each_row("reports")
def test_reports_and_notices_are_those_of_the_page(row: Row) -> None:
    case = told(row["baseline"], row["sessions"])
    reports = [
        f"{report.kind}: {', '.join(str(session) for session in report.sessions)}"
        for kind in get_args(ReportKind)
        for report in case.reports(kind)
        if not report.retracted
    ]
    assert reports == parts(row["reports"], by=";")
    assert case.notices() == parts(row["notices"])


def holding(case: Case) -> list[Decision]:
    """Give the decisions that hold, in the order of the sessions."""
    return [case.decision(session) for session in sorted(case.course.judged)]


# What ships


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("instruments", library_tables.instrument_rows),
        ("cut-offs", library_tables.cut_off_rows),
        ("policies", library_tables.policy_rows),
        ("needs", library_tables.need_rows),
        ("actions", library_tables.action_rows),
    ],
)
def test_a_table_of_definitions_is_that_of_the_library(name: str, expected: Callable[[], Iterable[Row]]) -> None:
    ships = list(expected())
    assert rows(name) == ships, f"the library has\n{drawn(list(ships[0]), ships)}"


@pytest.mark.parametrize(
    ("name", "column", "kinds"),
    [
        ("annotations", "annotation", AnnotationKind),
        ("set aside", "reason", SetAsideReason),
        ("changes", "change", ReportChange),
        ("notices", "reason", NoticeReason),
    ],
)
def test_a_table_of_kinds_leaves_none_out(name: str, column: str, kinds: Any) -> None:
    assert sorted(named(row[column]) for row in rows(name)) == sorted(get_args(kinds))


def test_the_options_of_a_policy_are_all_there_with_their_values_and_defaults() -> None:
    of_no_option = {"kind", "id", "version", "title", "summary", "sources", "provisional", "primary", "rules"}
    assert {named(row["option"]) for row in rows("options")} == set(Policy.model_fields) - of_no_option
    for row in rows("options"):
        assert_option(Policy, row)


def test_the_options_of_the_rules_are_all_there_with_their_values_and_defaults() -> None:
    models: dict[str, type[Deterioration | NoChange]] = {"deterioration/1": Deterioration, "no_change/1": NoChange}
    found = {(named(row["rule"]), named(row["option"])) for row in rows("rule options")}
    assert found == {(kind, name) for kind, model in models.items() for name in model.model_fields if name != "kind"}
    for row in rows("rule options"):
        assert_option(models[named(row["rule"])], row)


def assert_option(model: type[Policy | Deterioration | NoChange], row: Row) -> None:
    field = model.model_fields[named(row["option"])]
    literals = [value for value in get_args(field.annotation) if isinstance(value, str)]
    if literals:
        assert [named(value) for value in parts(row["values"])] == literals
    else:
        assert row["values"] in ("a number", "points", "yes, no", "a clinic's own figures")
    default = "must be given" if field.is_required() else AS_WRITTEN.get(field.default, f"`{field.default}`")
    assert row["default"] == default


AS_WRITTEN: Final[dict[object, str]] = {None: "none", False: "no", True: "yes"}
