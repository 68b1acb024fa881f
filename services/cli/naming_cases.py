"""Which case is meant by a number or an id, and what is told of one that was erased."""

from typing import IO, Any

import click

from services.cli.audit.source import Unpacked
from services.cli.grounds import ground_in_words
from services.cli.home import FINDING, Failure
from services.cli.output import counted, say
from services.cli.screen import exactly
from services.home import Home
from services.runtime.erasures import Erasure
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
    """Tell that a case was erased. name: how it was called by whoever asks."""
    if erasure is None:
        return f"{name}: this case was erased, and nothing of it can be read. When and why is not on this log."
    why = ground_in_words(erasure.ground)
    when = f"on {exactly(erasure.at)} by {erasure.by}"
    return f"{name}: this case was erased {when}: {why}. Nothing of it can be read any more."


def told_unsaid(case_id: str) -> str:
    """Tell that a case cannot be read, though nothing says that it was erased."""
    return (
        f"{case_id}: the key of this case is destroyed, and the log does not say that it was erased, as where that was "
        "done before logs said it. What is sealed under it was not verified: nobody can look at it any more."
    )


async def case_named(home: Home, name: str) -> str:
    """Find a case that can be read by its external number or its id. Raises Failure, WasErased."""
    case_id = await any_case_named(home, name)
    if await home.is_erased(case_id):
        if not isinstance((await home.keyring.keys([case_id])).get(case_id), Destroyed):
            raise Failure(f"{name}: erasing this case was begun and is not finished: give ontrack erase again", FINDING)
        raise WasErased(name, await home.erasure(case_id))
    return case_id


async def any_case_named(home: Home, name: str) -> str:
    """Find a case by its external number or its id, also one that was erased. Raises Failure."""
    found = await home.cases_named(name)
    if not found:
        told = f"{name}: the number of a case was expected; {_where_listed(home)}"
        if erased := [case_id async for case_id, wrapped in home.keyring.wrapped() if wrapped is None]:
            # Its number leads to its id only by the master key under which it was enrolled.
            told += (
                f". This log has {counted(len(erased), 'erased case')}: by its number one is known only in the home "
                "where it was erased; elsewhere it is named by its id, which ontrack audit verify tells"
            )
        raise Failure(told)
    if len(found) > 1:
        names = await home.names()
        which = ", ".join(sorted(names.get(case_id, case_id) for case_id in found))
        raise Failure(f"{name}: this number names several cases; name one of {which}")
    return found[0]


def _where_listed(home: Home) -> str:
    """Say what names all cases of a home that can be named."""
    if not isinstance(home, Unpacked):
        return "ontrack tracks lists them all"
    lacking = f", and this one may be of the {counted(len(home.keyless), 'case')} that it lacks" if home.keyless else ""
    return f"the file of keys lists them{lacking}"
