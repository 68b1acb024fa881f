"""The modules of the project as the laws see them: a path and a source."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("contracts", "services")


@dataclass(frozen=True)
class Module:
    """A source file, by its path below the top of the tree."""

    path: PurePosixPath
    source: str

    @property
    def is_init(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def parts(self) -> tuple[str, ...]:
        """The dotted name, split: services/ingest/domain.py is services, ingest, domain."""
        parts = self.path.with_suffix("").parts
        return parts[:-1] if self.is_init else parts

    @property
    def package(self) -> tuple[str, ...]:
        """The package that a relative import starts from."""
        return self.path.parent.parts

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, filename=str(self.path))


def read_tree(root: Path, tops: Iterable[str] = (*SHIPPED, "tests")) -> list[Module]:
    files = sorted(path for top in tops for path in (root / top).rglob("*.py"))
    return [Module(PurePosixPath(path.relative_to(root).as_posix()), path.read_text("utf-8")) for path in files]


def sample(path: str, source: str) -> list[Module]:
    return [Module(PurePosixPath(path), source)]
