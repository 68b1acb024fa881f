"""FerretDB as a program, built from its Go module with the few lines of `main.go`.

A few lines of it are built otherwise than they stand:

- Of two that change a document at the same moment, it keeps the change of one and answers both that theirs is there.
  MongoDB does not, and nothing that is made for MongoDB can go by a database that does. So who changes a collection
  waits for whoever does so already.
- It can let in users who prove themselves by SCRAM, and be a replica set, and a program that embeds it cannot ask for
  that: here the environment does. Rights are taken and not looked at: every user may do everything.
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

_FERRETDB: Final = "github.com/FerretDB/FerretDB"

_HERE: Final = Path(__file__).parent
_ADDED: Final = "handler/changing.go"
_SOURCES: Final = [Path(__file__), *(_HERE / name for name in ("main.go", "go.mod", "go.sum", _ADDED))]

_ALONE: Final = {
    "	db, err := h.b.Database(params.DB)\n": (
        "	defer changing(params.DB, params.Collection)()\n	db, err := h.b.Database(params.DB)\n"
    )
}
_ROLES: Final = {"return ok && r.Len() == 0": "return ok && r.Len() >= 0"}

_OTHERWISE: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "ferretdb/ferretdb.go": {
            '	"net/url"\n': '	"net/url"\n	"os"\n	"time"\n',
            f'	"{_FERRETDB}/internal/util/state"\n': (
                f'	"{_FERRETDB}/internal/util/password"\n	"{_FERRETDB}/internal/util/state"\n'
            ),
            "TCPHost:       config.Listener.TCP,": """
		TCPHost:       os.Getenv("ONTRACK_HOST"),
		ReplSetName:   os.Getenv("ONTRACK_REPLICA_SET"),
		SetupDatabase: os.Getenv("ONTRACK_USERS_IN"),
		SetupUsername: os.Getenv("ONTRACK_ADMINISTRATOR"),
		SetupPassword: password.WrapPassword(os.Getenv("ONTRACK_ADMINISTRATOR_PASSWORD")),
		SetupTimeout:  time.Minute,""",
            "TestOpts: registry.TestOpts{": """TestOpts: registry.TestOpts{
			EnableNewAuth: os.Getenv("ONTRACK_USERS_IN") != "",""",
        },
        "internal/handler/msg_createuser.go": _ROLES,
        "internal/handler/msg_updateuser.go": _ROLES,
        **{f"internal/handler/msg_{command}.go": _ALONE for command in ("update", "delete", "findandmodify")},
    }
)
"""File -> what stands there once -> what is built instead."""


def needs() -> list[Program]:
    """What the machine must have for the program to be built."""
    return [] if build_folder("ferretdb", _SOURCES).exists() else [GO]


def sources() -> list[Path]:
    """Give what the program is made from."""
    return _SOURCES


@cache
def program() -> Path:
    """Name the program; it is built first unless it is here."""
    return built("ferretdb", _SOURCES, _build) / "ferretdb"


def _build(folder: Path) -> None:
    changed = folder / "changed"
    # The modules that Go keeps are not to be written.
    shutil.copytree(golang.folder_of(_HERE, _FERRETDB), changed, copy_function=shutil.copyfile)
    for name, changes in _OTHERWISE.items():
        code = (changed / name).read_text(encoding="utf-8")
        for before, after in changes.items():
            if code.count(before) != 1:
                raise BuildFailed(f"{name} of FerretDB does not have once what is built otherwise:\n{before}")
            code = code.replace(before, after)
        (changed / name).write_text(code, encoding="utf-8")
    shutil.copyfile(_HERE / _ADDED, changed / "internal" / _ADDED)
    module = (_HERE / "go.mod").read_text(encoding="utf-8")
    (folder / "go.mod").write_text(f"{module}\nreplace {_FERRETDB} => {changed}\n", encoding="utf-8")
    shutil.copyfile(_HERE / "go.sum", folder / "go.sum")
    # Without its other database and without symbols it is built in two thirds of the time.
    smaller = ["-tags=ferretdb_no_sqlite", "-ldflags=-s -w", "-gcflags=all=-dwarf=false"]
    golang.build(_HERE, folder / "ferretdb", ".", f"-modfile={folder}/go.mod", *smaller)
    shutil.rmtree(changed)
