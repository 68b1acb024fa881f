"""Where the time of a process goes: functions that are timed, and what the event loop runs besides.

A coroutine is timed step by step, so that what others do while it waits is not counted for it.
"""

import asyncio
import time
from asyncio.events import Handle
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import CodeType
from typing import Any, Final

import pytest

WAITING: Final = "waiting: brokers, store, others on this machine"

Layer = tuple[Any, str, str]
"""Where a function is, its name, and what its time is called."""


class _Clock:
    """Counts the time of nested spans; what a span spends in another is counted for the other only."""

    def __init__(self, spent: Counter[str]) -> None:
        self.spent = spent
        self._stack = [0.0]

    @contextmanager
    def span(self, label: str) -> Iterator[None]:
        self._stack.append(0.0)
        began = time.perf_counter()
        try:
            yield
        finally:
            total = time.perf_counter() - began
            self.spent[label] += total - self._stack.pop()  # type: ignore[assignment]
            self._stack[-1] += total


class _Stepwise(Coroutine[Any, Any, Any]):
    """A coroutine of which every step is timed."""

    def __init__(self, clock: _Clock, label: str, inner: Coroutine[Any, Any, Any]) -> None:
        self._clock, self._label, self._inner = clock, label, inner
        self.cr_code: CodeType | None = getattr(inner, "cr_code", None)

    def send(self, value: Any) -> Any:
        with self._clock.span(self._label):
            return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        with self._clock.span(self._label):
            return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return _steps(self)


def _steps(stepwise: _Stepwise) -> Generator[Any, Any, Any]:
    """Drive a coroutine from within another."""
    given: Any = None
    while True:
        try:
            awaited = stepwise.send(given)
        except StopIteration as ended:
            return ended.value
        try:
            given = yield awaited
        except BaseException as error:  # noqa: BLE001 - whatever is thrown in is for the coroutine
            stepwise.throw(error)


@contextmanager
def timed(layers: Sequence[Layer], others: Callable[[str], str], spent: Counter[str]) -> Iterator[None]:
    """Time the layers in what the event loop runs meanwhile; count seconds by label, WAITING included.

    others: names the time of what the loop runs outside of every layer; it is told where that is in the code
    """
    clock = _Clock(spent)
    with pytest.MonkeyPatch.context() as patch:
        for place, name, label in layers:
            patch.setattr(place, name, _counting(getattr(place, name), label, clock))
        run = Handle._run  # noqa: SLF001 - the one place by which everything passes

        def counted(handle: Handle) -> None:
            with clock.span(others(_place(handle))):
                run(handle)

        patch.setattr(Handle, "_run", counted)
        began = time.perf_counter()
        yield
        spent[WAITING] = time.perf_counter() - began - spent.total()  # type: ignore[assignment]


def _counting(function: Any, label: str, clock: _Clock) -> Any:
    if asyncio.iscoroutinefunction(function):

        @wraps(function)
        def stepped(*args: Any, **named: Any) -> _Stepwise:
            return _Stepwise(clock, label, function(*args, **named))

        return stepped

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        with clock.span(label):
            return function(*args, **named)

    return called


def _place(handle: Handle) -> str:
    """Say where the code is that a handle runs: its file and its name."""
    callback: Any = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001 - nothing else tells
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        callback = owner.get_coro()
    code = getattr(callback, "cr_code", None) or getattr(callback, "__code__", None)
    return f"{code.co_filename} {code.co_qualname}" if code is not None else type(owner).__name__


def shares(spent: Counter[str]) -> list[str]:
    """Tell what share of the time went where, one line each, the largest first."""
    return [f"  {label:48} {100 * seconds / spent.total():5.1f} %" for label, seconds in spent.most_common()]


@contextmanager
def waited(calls: Sequence[Layer], spent: Counter[str]) -> Iterator[None]:
    """Time coroutines from their call to their end, whatever else runs meanwhile; count seconds by label."""
    with pytest.MonkeyPatch.context() as patch:
        for place, name, label in calls:
            patch.setattr(place, name, _elapsing(getattr(place, name), label, spent))
        yield


def _elapsing(function: Any, label: str, spent: Counter[str]) -> Any:
    @wraps(function)
    async def called(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return await function(*args, **named)
        finally:
            spent[label] += time.perf_counter() - began  # type: ignore[assignment]

    return called
