"""Which case is meant by a number or an id, and what is told of one that was erased."""

from collections.abc import Sequence
from typing import IO, Any

import click

from services.cli.grounds import ground_in_words
from services.cli.home import FINDING, Failure
from services.cli.output import counted, say
from services.cli.screen import exactly
from services.cli.source import Unpacked
from services.home import Home
from services.runtime.erasures import Erasure, erasures
from services.runtime.keyring.port import Destroyed


class WasErased(click.ClickException):
    """A case that was asked for was erased. It is no error: there is an answer, and it is all that is left."""

    exit_code = 0

    def __init__(self, name: str, erasure: Erasure | None) -> None:
        """Say when, and on what ground."""
        super().__init__(told_erased(name, erasure))

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - the signature is click's
        """Tell it where everything is told that is no data."""
        say(self.message)


def told_erased(name: str, erasure: Erasure | None) -> str:
    """Tell that a case was erased, or that its key is destroyed. name: how it was called by whoever asks."""
    if erasure is None:
        return f"{name}: the key of this case is destroyed, so nothing of it can be read. The log does not say why."
    why = ground_in_words(erasure.ground)
    when = f"on {exactly(erasure.at)} by {erasure.by}"
    return f"{name}: this case was erased {when}: {why}. Nothing of it can be read any more."


def told_unfinished(name: str) -> str:
    """Tell that erasing a case was broken off, or is still under way."""
    return f"{name}: erasing this case was begun and is not finished: give ontrack erase again, unless it still runs"


def told_unsaid(case_id: str) -> str:
    """Tell that a case cannot be read, though nothing says that it was erased."""
    return (
        f"{case_id}: the key of this case is destroyed, and the log does not say that it was erased, as where that was "
        "done since. What is sealed under it was not verified: nobody can look at it any more."
    )


async def case_named(home: Home, name: str) -> str:
    """Find a case that can be read by its external number or its id. Raises Failure, WasErased."""
    case_id = await _the_one(home, name, await home.cases_named(name))
    if await home.is_erased(case_id):
        erasure = await home.erasure(case_id)
        has_key = not isinstance((await home.keyring.keys([case_id])).get(case_id), Destroyed)
        # Where the log does not say why the key is gone, nobody can tell what else should be.
        if has_key or (erasure is not None and await home.unfinished([case_id])):
            raise Failure(told_unfinished(name), FINDING)
        raise WasErased(name, erasure)
    return case_id


async def any_case_named(home: Home, name: str) -> str:
    """Find a case by its external number or its id, also one that was erased. Raises Failure.

    A number that another clinic uses too names several, though only one of these can be read.
    """
    return await _the_one(home, name, await home.all_cases_named(name))


async def _the_one(home: Home, name: str, found: Sequence[str]) -> str:
    if not found:
        told = f"{name}: the number of a case was expected; {_where_listed(home)}"
        raise Failure(f"{told}{await _told_gone(home)}")
    if len(found) > 1:
        persons = await home.people.persons()
        names = {case_id: f"{person.number}@{person.clinic}" for case_id, person in persons.items()}
        which = ", ".join(sorted(names.get(case_id, case_id) for case_id in found))
        raise Failure(f"{name}: this number names several cases; name one of {which}")
    return found[0]


async def _told_gone(home: Home) -> str:
    """Tell of the cases that no number names, as far as the log, or only somebody's keys, says why."""
    erased = await erasures(home.log, home.keyring)
    unsaid = [case_id async for case_id, wrapped in home.keyring.wrapped() if wrapped is None and case_id not in erased]
    told = [f"This log has {counted(len(erased), 'erased case')}"] if erased else []
    if unsaid and isinstance(home, Unpacked):
        told.append(
            f"The file of keys says that the key of {counted(len(unsaid), 'case')} was destroyed, and this log does "
            "not say that they were erased"
        )
    elif unsaid:
        told.append(
            f"The key of {counted(len(unsaid), 'case')} is destroyed here, and this log does not say that they were "
            "erased"
        )
    if not told:
        return ""
    # Its number leads to its id only by the master key under which it was enrolled.
    return (
        f". {'. '.join(told)}: by its number such a case is known only in the home where its key was destroyed; "
        "elsewhere it is named by its id, which ontrack audit verify tells"
    )


def _where_listed(home: Home) -> str:
    """Say what names all cases of a home that can be named."""
    if not isinstance(home, Unpacked):
        return "ontrack tracks lists them all"
    lacking = f", and this one may be of the {counted(len(home.keyless), 'case')} that it lacks" if home.keyless else ""
    return f"the file of keys lists them{lacking}"
