"""Any event of any type, drawn from what its fields declare."""

import types
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from contracts.events.event import Data, Event

DataT = TypeVar("DataT", bound=Data)

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-9, minutes=-30))])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
"""Plain JSON as definitions are made of: no floats."""


def moments() -> SearchStrategy[datetime]:
    """Moments in several zones, to the millisecond."""
    drawn = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - gets a zone
    return drawn.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1_000 * 1_000))


def ids() -> SearchStrategy[str]:
    """Event ids."""
    return st.uuids().map(str)


def data_of(kind: type[DataT]) -> SearchStrategy[DataT]:
    """Anything that an event of this type can say."""
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{name: _values(hints[name]) for name in kind.model_fields})


def events_of(kind: type[DataT], *, numbered: bool = True) -> SearchStrategy[Event[DataT]]:
    """Any event of this type."""
    return st.builds(
        Event,
        id=ids(),
        source=st.sampled_from(["urn:ontrack:ingest", "urn:ontrack:scoring", "urn:clinic:æø"]),
        subject=st.text("0123456789abcdef", min_size=32, max_size=32),
        time=moments(),
        recordedtime=moments(),
        correlationid=ids(),
        causationid=st.none() | ids(),
        data=data_of(kind),
        sequence=st.integers(1, 999_999_999) if numbered else st.none(),
        sealed=st.none(),
    )


def _values(hint: Any) -> SearchStrategy[Any]:
    if hint is AwareDatetime:
        return moments()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(arguments[0], [limit for part in arguments[1:] for limit in _limits(part)])
    if origin in (Union, types.UnionType):
        return st.one_of([_values(each) for each in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(_values(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        keys, values = arguments
        return st.dictionaries(_values(keys), _values(values), max_size=3)
    if isinstance(hint, type) and issubclass(hint, Data):
        return data_of(hint)
    return _PLAINLY[hint]


_PLAINLY: dict[Any, SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    str: WORDS,
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Any: PLAIN,
}


def _limits(part: object) -> list[Any]:
    return list(part.metadata) if isinstance(part, FieldInfo) else [part]


def _limited(kind: object, limits: list[Any]) -> SearchStrategy[Any]:
    """Values of a plain type within what a field declares: a range, a length, a pattern."""
    least: Any = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    most: Any = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    shortest = next((limit.min_length for limit in limits if isinstance(limit, MinLen)), 0)
    longest = next((limit.max_length for limit in limits if isinstance(limit, MaxLen)), None)
    pattern = next((limit.pattern for limit in limits if hasattr(limit, "pattern")), None)
    if kind is AwareDatetime:
        return moments()
    if get_origin(kind) in (dict, tuple):
        return _values(kind)
    if kind is Decimal:
        digits, places = (next(getattr(limit, name) for limit in limits) for name in ("max_digits", "decimal_places"))
        largest = Decimal(10) ** (digits - places) - 1
        return st.decimals(-largest, largest, places=places)
    if kind is int:
        return st.integers(least, most)
    if kind is not str:
        raise NotImplementedError(f"limits of {kind}")
    if pattern is None:
        longest = min(longest or 40, shortest + 40)
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=shortest, max_size=longest)
    matching = st.from_regex(pattern, fullmatch=True)
    return matching if longest is None else matching.filter(lambda text: len(text) <= longest)
