"""The import law: contracts <- services/runtime <- services/* <- the homes, services/cli.

The first half of this file is the law, the second half shows that the tree obeys it and that each rule can fail.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from tests.architecture.modules import ROOT, SHIPPED, Module, read_tree, sample

SERVICES = ("ingest", "scoring", "not_detector", "notifier", "mailer", "auditor", "simulation", "pages")
HOMES = ("home", "embedded", "distributed", "up", "users")
VAGUE_NAMES = frozenset({"common", "utils", "helpers", "base", "misc"})
STANDARD = sys.stdlib_module_names | {"__future__"}


@dataclass(frozen=True)
class Breach:
    path: PurePosixPath
    line: int
    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.what}, which the law forbids because {self.reason}"


@dataclass(frozen=True)
class Import:
    line: int
    target: str

    def is_below(self, package: str) -> bool:
        return self.target == package or self.target.startswith(f"{package}.")

    @property
    def top(self) -> str:
        return self.target.split(".")[0]

    @property
    def unit(self) -> str:
        """The part of services that is imported; empty for services as a whole."""
        return self.target.split(".")[1] if "." in self.target else ""


def imports_of(module: Module, tree: ast.Module) -> Iterator[Import]:
    """Every import, wherever it stands: inside a function, for types only, or by a literal name at run time."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=name, names=names, level=level):
                start = module.package[: len(module.package) + 1 - level] if level else ()
                origin = ".".join((*start, *([name] if name else [])))
                yield from (Import(alias.lineno, f"{origin}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(node.lineno, name)
            case _:
                pass


def why_forbidden(module: Module, found: Import) -> str | None:
    """The reason why a module may not import this, or None if it may."""
    if found.top == "tests":
        return "the tests are not shipped"
    if module.parts[0] == "contracts":
        return "contracts know nothing of services" if found.top == "services" else None
    domain = domain_of(module)
    if domain and found.top not in STANDARD and found.top != "contracts" and not found.is_below(domain):
        return "a domain knows only the standard library, contracts and its own modules"
    if found.top != "services":
        return None
    return why_service_forbidden(module.parts[1] if len(module.parts) > 1 else "", found.unit)


def why_service_forbidden(own: str, other: str) -> str | None:
    """The reason why one part of services may not import another, or None if it may."""
    if own == "cli" or (own and own == other):
        return None
    rules = (
        (other == "cli", "nobody imports services.cli"),
        (not own, "every service loads services/__init__.py, so it loads none of them"),
        (own == "runtime", "services.runtime stands below every service and knows only contracts"),
        (own not in HOMES and other in HOMES, "the homes put the services together, so none knows them"),
        (own not in HOMES and other != "runtime", "a service never imports another service"),
    )
    return next((reason for broken, reason in rules if broken), None)


def side_effects_of(tree: ast.Module) -> Iterator[int]:
    """The lines of an __init__.py that do more than describe, import and name constants."""
    body = tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body
    for statement in body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                harmless = True
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=types, orelse=[]):
                harmless = all(isinstance(each, ast.Import | ast.ImportFrom) for each in types)
            case ast.Assign(targets=targets, value=value):
                harmless = all(isinstance(target, ast.Name) for target in targets) and is_constant(value)
            case ast.AnnAssign(target=ast.Name(), value=value):
                harmless = value is None or is_constant(value)
            case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
                harmless = is_constant(value)
            case _:
                harmless = False
        if not harmless:
            yield statement.lineno


def is_constant(value: ast.expr) -> bool:
    """Whether an expression only names and groups values; frozenset(...) is how a constant set is written."""
    running = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.comprehension, ast.Lambda)
    for node in ast.walk(value):
        if isinstance(node, running):
            return False
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id == "frozenset"):
            return False
    return True


def domain_of(module: Module) -> str | None:
    """The dotted name of the domain a module is in, if it is in one."""
    if module.parts[0] != "services" or "domain" not in module.parts:
        return None
    return ".".join(module.parts[: module.parts.index("domain") + 1])


def breaches_of(module: Module) -> Iterator[Breach]:
    tree = module.tree
    for name in module.parts:
        if name.strip("_") in VAGUE_NAMES:
            yield Breach(module.path, 1, f"is called {name}", "a name says what is inside")
    if module.parts[0] not in SHIPPED:
        return
    if module.is_init:
        for line in side_effects_of(tree):
            yield Breach(module.path, line, "does something when imported", "an __init__.py is free of side effects")
    for found in imports_of(module, tree):
        if reason := why_forbidden(module, found):
            yield Breach(module.path, found.line, f"imports {found.target}", reason)


def breaches(modules: Iterable[Module]) -> list[str]:
    return [str(breach) for module in modules for breach in breaches_of(module)]


def test_the_tree_obeys_the_law() -> None:
    # given every module of the project
    modules = read_tree(ROOT)
    paths = {str(module.path) for module in modules}
    expected = {f"{top}/__init__.py" for top in (*SHIPPED, "services/runtime")}
    assert expected <= paths, f"not found below {ROOT.name}: {sorted(expected - paths)}"

    # when the law is applied to them
    found = breaches(modules)

    # then none of them breaks it
    assert not found, "\n" + "\n".join(found)


FORBIDDEN_IMPORTS = [
    # contracts
    ("contracts/event.py", "import services.ingest.app", "services.ingest.app", "contracts know nothing"),
    ("contracts/event.py", "from services import runtime", "services.runtime", "contracts know nothing"),
    ("contracts/event.py", "from ..services import runtime", "services.runtime", "contracts know nothing"),
    ("contracts/event.py", "import services", "services", "contracts know nothing"),
    # services as a whole
    ("services/__init__.py", "from services.runtime import log", "services.runtime.log", "every service loads"),
    ("services/__init__.py", "from . import runtime", "services.runtime", "every service loads"),
    # runtime
    ("services/runtime/log.py", "import services.ingest", "services.ingest", "services.runtime stands below"),
    ("services/runtime/log.py", "from ..ingest import app", "services.ingest.app", "services.runtime stands below"),
    ("services/runtime/log.py", "from services import embedded", "services.embedded", "services.runtime stands below"),
    # a service
    *[
        (f"services/{own}/app.py", f"from services.{other} import app", f"services.{other}.app", "a service never")
        for own in SERVICES
        for other in SERVICES
        if own != other
    ],
    ("services/ingest/app.py", "from services import scoring", "services.scoring", "a service never"),
    ("services/ingest/app.py", "from services import *", "services.*", "a service never"),
    ("services/ingest/app.py", "import services", "services", "a service never"),
    ("services/ingest/app.py", "from .. import scoring", "services.scoring", "a service never"),
    ("services/ingest/deep/app.py", "from ...scoring.app import run", "services.scoring.app.run", "a service never"),
    ("services/ingest/__init__.py", "from ..scoring import app", "services.scoring.app", "a service never"),
    ("services/ingest/app.py", "def late():\n    import services.scoring", "services.scoring", "a service never"),
    ("services/ingest/app.py", "import_module('services.scoring')", "services.scoring", "a service never"),
    ("services/ingest/app.py", "importlib.import_module('services.scoring')", "services.scoring", "a service never"),
    ("services/ingest/app.py", "__import__('services.scoring')", "services.scoring", "a service never"),
    (
        "services/ingest/app.py",
        "if TYPE_CHECKING:\n    from services.scoring import Score",
        "services.scoring.Score",
        "a service never",
    ),
    ("services/unheard_of.py", "import services.scoring", "services.scoring", "a service never"),
    *[("services/ingest/app.py", f"import services.{home}", f"services.{home}", "the homes put") for home in HOMES],
    # cli
    ("services/ingest/app.py", "import services.cli", "services.cli", "nobody imports services.cli"),
    ("services/runtime/log.py", "import services.cli.app", "services.cli.app", "nobody imports services.cli"),
    ("services/embedded.py", "from services.cli import main", "services.cli.main", "nobody imports services.cli"),
    # domains
    ("services/ingest/domain.py", "import pydantic", "pydantic", "a domain knows only"),
    ("services/ingest/domain.py", "from services.runtime import log", "services.runtime.log", "a domain knows only"),
    ("services/ingest/domain.py", "from . import app", "services.ingest.app", "a domain knows only"),
    ("services/ingest/domain/rules.py", "from ..app import run", "services.ingest.app.run", "a domain knows only"),
    ("services/ingest/domain/deep/rules.py", "import orjson", "orjson", "a domain knows only"),
    ("services/ingest/domain/__init__.py", "from .. import app", "services.ingest.app", "a domain knows only"),
    # tests
    ("services/ingest/app.py", "from tests.conftest import REFUSED", "tests.conftest.REFUSED", "the tests are not"),
]


@pytest.mark.parametrize(("path", "source", "target", "reason"), FORBIDDEN_IMPORTS)
def test_a_forbidden_import_is_found(path: str, source: str, target: str, reason: str) -> None:
    # given a module with a forbidden import in its last line
    modules = sample(path, source)

    # when the law is applied to it
    found = breaches(modules)

    # then the import is found where it stands, with the reason
    line = source.count("\n") + 1
    assert len(found) == 1, found
    assert found[0].startswith(f"{path}:{line} imports {target}, which the law forbids because {reason}")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("contracts/event.py", "import json\nimport pydantic\nfrom contracts.codec import encode\nfrom . import codec"),
        ("services/__init__.py", '"""Services."""\nfrom contracts import codec'),
        ("services/runtime/log.py", "import orjson\nfrom contracts import codec\nfrom services.runtime import keys"),
        *[
            (f"services/{own}/app.py", f"import click\nfrom services.{own}.domain import rule\nfrom . import domain")
            for own in SERVICES
        ],
        *[
            (f"services/{own}/app.py", "from contracts import codec\nimport services.runtime\nfrom .. import runtime")
            for own in SERVICES
        ],
        (
            "services/ingest/domain.py",
            "from __future__ import annotations\nimport decimal\nfrom contracts import codec",
        ),
        ("services/ingest/domain/rules.py", "from . import limits\nfrom services.ingest.domain.limits import LIMIT"),
        ("services/ingest/domain/deep/rules.py", "from ..limits import LIMIT"),
        ("services/ingest/domain/__init__.py", "from .limits import LIMIT"),
        *[
            (f"services/{home}.py", "from services import home, ingest, scoring\nfrom services.runtime import log")
            for home in HOMES
        ],
        ("services/cli/__init__.py", "from services.cli.app import main"),
        ("services/cli/app.py", "from services import embedded, ingest, scoring\nfrom .demo import demo"),
        ("services/servicesque/app.py", "import servicesque\nimport contractsque"),
        ("tests/scoring/test_scores.py", "from services import cli, ingest, scoring"),
    ],
)
def test_a_lawful_import_passes(path: str, source: str) -> None:
    # given a module whose imports the law allows
    # when the law is applied to it
    # then nothing is found
    assert breaches(sample(path, source)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "print('hello')",
        "configure()",
        "LOG = make_log()",
        "LOG: object = make_log()",
        "NAMES = [name for name in ALL]",
        "HANDLERS[0] = None",
        "contracts.LIMIT = 1",
        "'a second docstring'",
        "for name in (): pass",
        "try:\n    import orjson\nexcept ImportError:\n    orjson = None",
        "if TYPE_CHECKING:\n    configure()",
        "if READY:\n    import orjson",
        "def run(): ...",
        "class Run: ...",
        "del LIMIT",
    ],
)
@pytest.mark.parametrize("path", ["contracts/__init__.py", "services/ingest/__init__.py"])
def test_a_side_effect_of_an_init_is_found(path: str, statement: str) -> None:
    # given an __init__.py that does something in its third line
    modules = sample(path, f'"""A package."""\nimport json\n{statement}\n')

    # when the law is applied to it
    found = breaches(modules)

    # then that line is found
    assert found == [
        f"{path}:3 does something when imported, which the law forbids because an __init__.py is free of side effects"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "",
        '"""A package."""',
        '"""A package."""\nfrom __future__ import annotations\nimport json\n__all__ = ["json"]\n__all__ += ["x"]',
        'LIMIT = -1\nNAMES: Final = ("a", "b")\nKNOWN = frozenset({"a"})\nOLD = json.JSONDecoder\nLATER: int',
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import json",
    ],
)
def test_an_init_without_side_effects_passes(source: str) -> None:
    # given an __init__.py that only describes, imports and names constants
    # when the law is applied to it
    # then nothing is found
    assert breaches(sample("contracts/__init__.py", source)) == []


@pytest.mark.parametrize("name", sorted(VAGUE_NAMES))
@pytest.mark.parametrize(
    "pattern",
    ["contracts/{}.py", "services/ingest/_{}.py", "services/{}/__init__.py", "services/{}/app.py", "tests/{}.py"],
)
def test_a_vague_name_is_found(pattern: str, name: str) -> None:
    # given a module or package whose name says nothing
    path = pattern.format(name)

    # when the law is applied to it
    found = breaches(sample(path, ""))

    # then its name is found
    assert len(found) == 1, found
    assert found[0].startswith(f"{path}:1 is called")
    assert found[0].endswith("because a name says what is inside")
