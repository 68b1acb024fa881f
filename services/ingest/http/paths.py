"""Which operation a request asks for, by its method and its path."""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from services.ingest.http import problems
from services.ingest.http.problems import Problem

HandleT = TypeVar("HandleT")
Parts = tuple[str | None, ...]
"""The parts of a path; None stands for the one that names something."""


class Paths(Generic[HandleT]):
    """The operations, by their paths. A path names one thing at most."""

    def __init__(self, operations: Iterable[tuple[str, str, HandleT]]) -> None:
        """Know some operations: the method, the path and what handles it."""
        self._at: dict[Parts, dict[str, HandleT]] = {}
        self._places: set[int] = set()
        for method, path, handle in operations:
            parts = tuple(None if part.startswith("{") else part for part in path.split("/"))
            if None in parts:
                self._places.add(parts.index(None))
            self._at.setdefault(parts, {})[method] = handle

    def find(self, method: str, path: str) -> tuple[HandleT, str]:
        """Give what handles a request, and what its path names, if it names anything.

        Raises Problem where nothing is, or not for that method.
        """
        by_method, named = self._found(path)
        handle = by_method.get("GET" if method == "HEAD" else method)
        if handle is None:
            methods = sorted({*by_method, *(("HEAD",) if "GET" in by_method else ())})
            raise Problem(problems.METHOD, headers={"Allow": ", ".join(methods)})
        return handle, named

    def _found(self, path: str) -> tuple[Mapping[str, HandleT], str]:
        parts = tuple(path.split("/"))
        if (by_method := self._at.get(parts)) is not None:
            return by_method, ""
        for place in self._places:
            if place < len(parts) and parts[place]:
                by_method = self._at.get((*parts[:place], None, *parts[place + 1 :]))
                if by_method is not None:
                    return by_method, parts[place]
        raise Problem(problems.NOT_FOUND)
