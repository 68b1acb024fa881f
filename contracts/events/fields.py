"""The types of the fields that events share, with their units and ranges."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticKnownError

DefinitionRef = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*@[1-9][0-9]*#[0-9a-f]{64}$", max_length=160)]
"""`id@version#sha256`: names one definition and, by the hash of its content, no other."""

EventId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

LAST_SESSION: Final = 999

CountedSession = Annotated[int, Field(ge=0, le=LAST_SESSION)]
"""A session of the case's own course; 0 is before the course."""

INDIVIDUAL: Final = "individual-[1-9]"

IndividualSession = Annotated[str, Field(pattern=f"^{INDIVIDUAL}$")]
"""A session outside the group, which the rules do not count."""

Session = CountedSession | IndividualSession

SessionName = Annotated[str, Field(pattern=rf"^([0-9]|[1-9][0-9]{{1,2}}|{INDIVIDUAL})$")]
"""A session as a text, where it names something."""


def session_of(name: str) -> int | str:
    """Give the session that a text names."""
    return int(name) if name.isdecimal() else name


ScoreValue = Annotated[Decimal, Field(max_digits=12, decimal_places=4)]
"""A score that a person states: one with more digits is none, and could not be reckoned with."""

AT_ONCE: Final = 100
"""So many things can be named at once: nobody means more, and what is recorded has to fit into one record."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=64)]
"""The id of an item, scale, flag, need, action, clinic, group or person: never a person's name."""

_NAME: Final = TypeAdapter(Name)


def is_name(text: str) -> bool:
    """Tell whether a text can be a `Name`."""
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


def _by_item(answers: dict[str, int]) -> dict[str, int]:
    return dict(sorted(answers.items()))


Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number of at most 64 bits: one with more has no canonical form."""

Answers = Annotated[dict[Name, Whole], AfterValidator(_by_item)]
"""Item id -> value, ordered by item as on the wire: an event that is handed on is the one that would be read."""

WORDS_AT_MOST: Final = 2_000

Words = Annotated[str, Field(min_length=1, max_length=WORDS_AT_MOST)]
"""Free text of a person. It can hold names, so it is sealed, and never logged."""

EnteredBy = Literal["patient", "clinic", "import", "ehr"]


def to_milliseconds(moment: datetime) -> datetime:
    """Give a moment as the wire has it: in UTC, with whole milliseconds. Raises ValueError outside years 1 to 9999."""
    if moment.tzinfo is UTC and moment.microsecond % 1000 == 0:
        return moment
    try:
        return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
    except OverflowError:
        raise ValueError("a moment between the years 1 and 9999") from None


@lru_cache(maxsize=4_096)
def instant(moment: datetime) -> str:
    """Write a moment as it stands on the wire: UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_ANY_MOMENT: Final = TypeAdapter[datetime](AwareDatetime)
_BEGINS_AS_A_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]", re.ASCII)
_INSTANT_LENGTH: Final = len("2026-01-31T23:59:59.999Z")


def _moment(value: object, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> datetime:
    """Read a moment; one that stands on the wire as `instant` writes it in half the time of any other."""
    moment: datetime
    if info.mode != "json":
        moment = read(value)
    elif type(value) is not str:
        # A number would be taken for seconds, or for milliseconds if it is large.
        raise PydanticKnownError("datetime_type")
    elif _has_form_of_an_instant(value):
        moment = _read_instant(value)
    elif not _BEGINS_AS_A_MOMENT.match(value):
        # Digits alone would be taken for seconds as well.
        raise PydanticKnownError("datetime_type")
    else:
        moment = _ANY_MOMENT.validate_strings(value, strict=True)
    return to_milliseconds(moment)


def _read_instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        # What Python says of it repeats it.
        raise PydanticKnownError("datetime_type") from None


def _has_form_of_an_instant(text: str) -> bool:
    """Tell the form of `instant` from the others of ISO 8601, so that nothing is read that is refused otherwise."""
    return len(text) == _INSTANT_LENGTH and text[7] == "-" and text[10] == "T" and text[19] == "." and text[23] == "Z"


Instant = Annotated[AwareDatetime, WrapValidator(_moment), PlainSerializer(instant, return_type=str, when_used="json")]
"""A moment, in UTC with milliseconds."""

FlagKind = Literal["negative", "safety", "context"]
