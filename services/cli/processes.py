"""Work that is shared by several processes: each does a part of it, and says how far it is."""

import asyncio
import os
import pickle
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.resource_tracker import ensure_running
from threading import Thread
from traceback import format_exc
from typing import Any, Final, Generic, NamedTuple, TypeVar

from services.cli.home import Failure, in_words
from services.runtime.collector import spare_the_collector
from services.runtime.faults import place_of

T = TypeVar("T")

Progress = Callable[[int], None]
Work = Callable[[Progress], Coroutine[Any, Any, T]]
"""Gives what a process of its own is to do, which tells of every step. It goes there, so it has to be picklable."""

_HEEDED_EVERY: Final = 0.2
"""Seconds after which it is seen whether somebody has asked for an end, though no process says anything."""


class _Done(NamedTuple, Generic[T]):
    """A part of the work is done. gives: what came of it."""

    gives: T


async def shared(parts: Sequence[Work[T]], progress: Progress) -> list[T]:
    """Have each part done by a process of its own, at the same time; give what came of each, in their order.

    What is done has to be as safe as after a kill: so the others end where one fails, and all of them where this
    process does.

    progress: is told of the steps of all of them, and now and then of none; where it raises, they are ended

    Raises what one of them raises, and Failure where one ends without a word.
    """
    running: dict[Connection, SpawnProcess] = {}
    try:
        for part in parts:
            ours, process = _begun(part)
            running[ours] = process
        return await _gathered(running, progress)
    finally:
        for ours, process in running.items():
            process.kill()
            process.join()
            ours.close()


def _begun(part: Work[Any]) -> tuple[Connection, SpawnProcess]:
    """Begin a process. Not by a fork: connections to servers would be in both."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with theirs, _deaf():
        process = context.Process(target=_do, args=(part, theirs), daemon=True)
        process.start()
    return ours, process


@contextmanager
def _deaf() -> Iterator[None]:
    """Let what is begun here never hear of Ctrl-C and SIGHUP, which reach it too: whoever has begun it ends it then."""
    # Python begins a process that looks after what processes share, and listens to Ctrl-C again once it has.
    ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _gathered(running: Mapping[Connection, SpawnProcess], progress: Progress) -> list[Any]:
    """Hear all processes to their end."""
    loop, came = asyncio.get_running_loop(), dict[Connection, Any]()
    while silent := [each for each in running if each not in came]:
        said = await loop.run_in_executor(None, wait, silent, _HEEDED_EVERY)
        for each in (each for each in silent if each in said):
            match _heard(each, running[each]):
                case int(steps):
                    progress(steps)
                case _Done(gives):
                    came[each] = gives
                case BaseException() as error:
                    raise error
        progress(0)
    return [came[each] for each in running]


def _heard(ours: Connection, process: SpawnProcess) -> Any:  # noqa: ANN401 - whatever comes of the work
    try:
        return ours.recv()
    except (EOFError, OSError):
        # Between two words, or in the middle of one.
        process.join()
        why = f"with exit code {process.exitcode}"
        if process.exitcode is not None and process.exitcode < 0:
            why = f"by signal {-process.exitcode}; where memory is short, let fewer share it"
        return Failure(f"a process that shared the work was ended {why}. Nothing is lost; start again.")


def _do(part: Work[Any], theirs: Connection) -> None:
    """Do a part of the work, in a process of its own."""
    Thread(target=_end_with_parent, daemon=True).start()
    spare_the_collector()
    try:
        with in_words():
            came: Any = _Done(asyncio.run(part(theirs.send)))
    except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
        came = _as_it_can_go(error)
    # Whoever would hear it can be gone, and this ends as well then.
    with suppress(BrokenPipeError):
        theirs.send(came)


def _end_with_parent() -> None:
    """End once the process is gone that has begun this one: nobody would hear what comes of the work."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _as_it_can_go(error: Exception) -> Exception:
    """Give an error as it can go to another process, with where it was raised: not every kind can."""
    error.add_note(format_exc())
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - it was made here
    except Exception:  # noqa: BLE001 - whatever keeps it from going
        return RuntimeError(place_of(error))
    return error
