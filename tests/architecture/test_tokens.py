"""The law of tokens: how long it takes to look for one tells nothing of those that there are.

The first half of this file is the law, the second half shows that the tree obeys it and that each rule can fail.
"""

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.modules import ROOT, Module, read_tree, sample

ACCESS: Final = "services/ingest/access.py"
_LEAVES: Final = (ast.Return, ast.Break, ast.Continue, ast.Raise, ast.Yield, ast.YieldFrom)


def breaches(module: Module) -> Iterator[str]:
    """What could take another time for one token than for another."""
    above = {child: node for node in ast.walk(module.tree) for child in ast.iter_child_nodes(node)}
    compared = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and _compares(node)]
    if not compared:
        yield "digests are not compared in constant time"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.Attribute) and _is_digest(node) and above[node] not in compared:
            yield f"line {node.lineno}: a digest is used for more than being compared in constant time"
    for call in compared:
        statement = above[call]
        loop = above.get(statement)
        if not isinstance(loop, ast.For):
            yield f"line {call.lineno}: it is not in every turn of a loop that a token is compared"
        elif any(isinstance(each, _LEAVES) for each in ast.walk(loop)):
            yield f"line {loop.lineno}: a loop over tokens ends where one is found, or leaves some out"


def _compares(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "hmac.compare_digest"


def _is_digest(node: ast.Name | ast.Attribute) -> bool:
    """Whether a digest is used here: not where it is given a value."""
    name = node.id if isinstance(node, ast.Name) else node.attr
    return name == "digest" and isinstance(node.ctx, ast.Load)


def test_the_time_that_it_takes_to_look_for_a_token_tells_nothing() -> None:
    (module,) = [module for module in read_tree(ROOT, ["services"]) if str(module.path) == ACCESS]
    assert list(breaches(module)) == []


_LOOKING: Final = """
import hmac

class Tokens:
    async def client(self, authorization):
        digest, found = _digest(authorization), None
        for token in self.all():
            if hmac.compare_digest(digest, token.digest):
                found = token
        return found
"""


def test_what_is_lawful_is_no_breach() -> None:
    (module,) = sample(ACCESS, _LOOKING)
    assert list(breaches(module)) == []


@pytest.mark.parametrize(
    ("lawful", "instead", "told"),
    [
        ("hmac.compare_digest(digest, token.digest)", "digest == token.digest", "are not compared in constant time"),
        ("hmac.compare_digest(digest, token.digest)", "digest == token.digest", "used for more"),
        (
            "if hmac.compare_digest(digest, token.digest):",
            "if digest[:4] == token.digest[:4] and hmac.compare_digest(digest, token.digest):",
            "used for more",
        ),
        (
            "if hmac.compare_digest(digest, token.digest):",
            "if found is None and hmac.compare_digest(digest, token.digest):",
            "not in every turn",
        ),
        ("for token in self.all():", "for token in self.by_digest.get(digest, ()):", "used for more"),
        ("                found = token\n", "                return token\n", "ends where one is found"),
        ("                found = token\n", "                found = token\n                break\n", "ends where one"),
        (
            "            if hmac",
            "            if found is None:\n             if hmac",
            "not in every turn",
        ),
        (
            "            if hmac",
            "            if found is not None:\n                continue\n            if hmac",
            "leaves some out",
        ),
        (
            _LOOKING[_LOOKING.index("        for token") :],
            "        return next((each for each in self.all() if hmac.compare_digest(digest, each.digest)), found)\n",
            "not in every turn",
        ),
    ],
)
def test_what_tells_by_its_time_is_a_breach(lawful: str, instead: str, told: str) -> None:
    assert lawful in _LOOKING
    (module,) = sample(ACCESS, _LOOKING.replace(lawful, instead))
    assert any(told in breach for breach in breaches(module)), list(breaches(module))
