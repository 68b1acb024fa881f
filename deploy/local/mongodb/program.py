"""FerretDB as a program, built from its Go module with the few lines of `main.go`.

Of two that change a document at the same moment, FerretDB keeps the change of one and answers both that theirs is
there. MongoDB does not, and nothing that is built on it can go by a database that does. So a few lines of FerretDB are
built otherwise than they stand: who changes a collection waits for whoever does so already.
"""

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deploy.local import golang
from deploy.local.building import BuildFailed, build_folder, built
from deploy.local.prerequisites import GO, Program

FERRETDB: Final = "github.com/FerretDB/FerretDB"

Changes = Mapping[str, Mapping[str, str]]
"""File -> what stands there once -> what is built instead."""

_HERE: Final = Path(__file__).parent
_ADDED: Final = "handler/changing.go"
_SOURCES: Final = [Path(__file__), *(_HERE / name for name in ("main.go", "go.mod", "go.sum", _ADDED))]

_ALONE: Final = {
    "	db, err := h.b.Database(params.DB)\n": (
        "	defer changing(params.DB, params.Collection)()\n	db, err := h.b.Database(params.DB)\n"
    )
}
_OTHERWISE: Final[Changes] = MappingProxyType(
    {f"internal/handler/msg_{command}.go": _ALONE for command in ("update", "delete", "findandmodify")}
)


def needs() -> list[Program]:
    """What the machine must have for the program to be built."""
    return [] if build_folder("ferretdb", _SOURCES).exists() else [GO]


def sources() -> list[Path]:
    """Give what the program is made from."""
    return _SOURCES


@cache
def program() -> Path:
    """Name the program; it is built first unless it is here."""
    return built("ferretdb", _SOURCES, build) / "ferretdb"


def build(folder: Path, changes: Changes = MappingProxyType({})) -> None:
    """Build the program in a folder. changes: what is built otherwise besides. Raises BuildFailed."""
    changed = folder / "changed"
    # The modules that Go keeps are not to be written.
    shutil.copytree(golang.folder_of(_HERE, FERRETDB), changed, copy_function=shutil.copyfile)
    for name, replaced in {**_OTHERWISE, **changes}.items():
        code = (changed / name).read_text(encoding="utf-8")
        for before, after in replaced.items():
            if code.count(before) != 1:
                raise BuildFailed(f"{name} of FerretDB does not have once what is built otherwise:\n{before}")
            code = code.replace(before, after)
        (changed / name).write_text(code, encoding="utf-8")
    shutil.copyfile(_HERE / _ADDED, changed / "internal" / _ADDED)
    module = (_HERE / "go.mod").read_text(encoding="utf-8")
    (folder / "go.mod").write_text(f"{module}\nreplace {FERRETDB} => {changed}\n", encoding="utf-8")
    shutil.copyfile(_HERE / "go.sum", folder / "go.sum")
    golang.build(_HERE, folder / "ferretdb", ".", f"-modfile={folder}/go.mod")
    shutil.rmtree(changed)
