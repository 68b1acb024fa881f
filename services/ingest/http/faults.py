"""What is wrong in a body, in words that hold nothing of it: where, and what was expected there."""

import re
from collections.abc import Collection
from itertools import pairwise, takewhile
from types import MappingProxyType
from typing import Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts.events.fields import INDIVIDUAL, LAST_SESSION
from services.runtime.directory.port import NUMBER_FORM
from services.runtime.roster.port import ADDRESS

FAULTS_AT_MOST: Final = 50
"""Faults of a body that are told: it can have a great many, and who mends the first of them finds the others."""


class Fault(NamedTuple):
    """What is wrong in a request. pointer: where (RFC 6901); expected: what should be there, never what is."""

    pointer: str
    expected: str


_A_SESSION: Final = f"a session: a number from 0 to {LAST_SESSION}, or individual-1 to individual-9"
_OF_FIELD: Final = MappingProxyType({"session": _A_SESSION})
"""A field that can be a number or a text: what each of them would have to be contradicts the other."""

_SESSIONS: Final = "sessions"
"""The field that has the names of sessions as those of its own fields."""

_A_SESSION_NAME: Final = re.compile(rf"[0-9]{{1,3}}|{INDIVIDUAL}")
_A_WHOLE_NUMBER: Final = "a whole number, written without a point"
_AN_ANSWER: Final = f"{_A_WHOLE_NUMBER}; for yes 1, for no 0"
_A_MOMENT: Final = "a moment such as 2026-01-05T08:30:00Z"
_WORDS: Final = MappingProxyType(
    {
        "missing": "a value: it is missing",
        "string_type": "a text",
        "string_too_long": "a text of at most {max_length} characters",
        "string_too_short": "a text of at least {min_length} characters",
        "int_type": _A_WHOLE_NUMBER,
        "int_from_float": _A_WHOLE_NUMBER,
        "int_parsing": _A_WHOLE_NUMBER,
        "bool_type": "true or false",
        "decimal_type": "a number",
        "decimal_parsing": "a number",
        "decimal_max_digits": "a number of at most {max_digits} digits",
        "decimal_max_places": "a number with at most {decimal_places} digits behind its point",
        "finite_number": "a number",
        "greater_than_equal": "at least {ge}",
        "less_than_equal": "at most {le}",
        "greater_than": "more than {gt}",
        "less_than": "less than {lt}",
        "literal_error": "{expected}",
        "dict_type": "an object",
        "model_type": "an object",
        "list_type": "a list",
        "tuple_type": "a list",
        "too_long": "at most {max_length} entries",
        "too_short": "at least {min_length} entries",
        "datetime_type": _A_MOMENT,
        "datetime_parsing": _A_MOMENT,
        "datetime_from_date_parsing": _A_MOMENT,
        "timezone_aware": "a moment with its offset from UTC, such as 2026-01-05T08:30:00Z",
    }
)
_TELLABLE: Final = ("max_length", "min_length", "max_digits", "decimal_places", "ge", "le", "gt", "lt", "expected")

_OURS: Final = frozenset({"a time zone such as Europe/Copenhagen", "a moment between the years 1 and 9999"})
"""What checks of our own say that they expect; what others say could hold what they were given."""

FORMS: Final = MappingProxyType(
    {
        r"^[a-z0-9][a-z0-9-]*@[1-9][0-9]*#[0-9a-f]{64}$": "a definition in full, id@version#sha256",
        r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$": "a UUID in small letters",
        r"^[A-Za-z0-9][A-Za-z0-9._:-]*$": "letters a to z, digits and . _ : - alone, the first a letter or a digit",
        rf"^([0-9]|[1-9][0-9]{{1,2}}|{INDIVIDUAL})$": _A_SESSION,
        f"^{INDIVIDUAL}$": _A_SESSION,
        NUMBER_FORM: "a text of 1 to 100 characters that can be seen, with no space at its ends",
        ADDRESS: "one mailbox, such as anna@clinic.example",
    }
)
"""The forms that texts have to have, in words."""


def faults_in(error: ValidationError, fields: Collection[str], within: Collection[str], pointer: str) -> list[Fault]:
    """Tell what is wrong with a body, as far as that is told.

    fields, within: what its fields and what is within them can be called; any other name could be an answer
    """
    names = {*fields, *within}
    found: dict[Fault, None] = {}
    for details in error.errors(include_url=False, include_input=False):
        named = takewhile(lambda step: _is_a_place(*step, names), pairwise(("", *details["loc"])))
        place = pointer + "".join(f"/{_escaped(str(step))}" for _, step in named)
        found[Fault(place, _expected(details, fields))] = None
        if len(found) == FAULTS_AT_MOST:
            break
    return list(found)


def _is_a_place(before: int | str, step: int | str, names: Collection[str]) -> bool:
    """Tell whether a step is a place that has a name, and nothing that somebody said."""
    is_a_session = before == _SESSIONS and _A_SESSION_NAME.fullmatch(str(step))
    return isinstance(step, int) or step in names or bool(is_a_session)


def _expected(details: ErrorDetails, fields: Collection[str]) -> str:
    """Say what was expected, in words that hold nothing of the request."""
    kind, context, steps = details["type"], details.get("ctx", {}), details["loc"]
    if kind == "extra_forbidden":
        return f"no other fields than {', '.join(sorted(fields))}" if len(steps) == 1 else "no other fields"
    if kind != "missing" and steps and steps[0] in _OF_FIELD:
        return _OF_FIELD[str(steps[0])]
    if kind == "int_type" and steps[0] == "answers":
        return _AN_ANSWER
    if kind == "string_pattern_mismatch":
        return FORMS.get(context["pattern"], "a text of another form: see the documentation")
    if kind == "value_error" and str(context["error"]) in _OURS:
        return str(context["error"])
    allowed = {name: context[name] for name in _TELLABLE if name in context}
    return _WORDS.get(kind, "another value: see the documentation").format(**allowed)


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
