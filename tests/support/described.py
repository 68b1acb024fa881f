"""Whether an answer of the API is one that its description knows."""

import re
from functools import cache
from typing import Any, Final

from services.ingest.http.openapi import document
from tests.support.asgi import Answer

OF_EVERY: Final = {"cache-control", "content-length", "content-type"}


@cache
def operations() -> dict[tuple[str, re.Pattern[str]], Any]:
    """What is described, by method and the form of the path; names stand before what can be any name."""
    paths = sorted(document()["paths"].items(), key=lambda path: "{" in path[0])
    return {
        (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path))): described
        for path, of_path in paths
        for method, described in of_path.items()
    }


def assert_described(method: str, path: str, answer: Answer) -> None:
    """Make sure of its status, its headers, the kind of its body and its problem, and that no cache keeps it."""
    path = path.partition("?")[0]
    found = [each for (verb, form), each in operations().items() if verb == method and form.fullmatch(path)]
    if not found:
        return
    described = found[0]["responses"].get(str(answer.status))
    assert described is not None, (method, path, answer)
    told = {name.lower() for name in described.get("headers", ())}
    assert answer.headers["cache-control"] == "no-store", (method, path, answer)
    assert answer.headers.keys() <= told | OF_EVERY, (method, path, answer)
    if answer.body:
        assert answer.headers["content-type"] in described["content"], (method, path, answer)
    if answer.status >= 400:
        assert f"`{answer.problem[1]}`" in described["description"], (method, path, answer)
