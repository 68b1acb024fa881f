"""FerretDB as it is in place of MongoDB in a container: with users who prove themselves by SCRAM, and a replica set.

It can do so, but a program that embeds it cannot ask for it. So a few lines of it are built otherwise than they stand.
Rights are taken and not looked at: every user may do everything.
"""

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from deploy.local import golang, mongodb
from deploy.local.building import BuildFailed, built

_MODULE: Final = Path(mongodb.__file__).parent
_FERRETDB: Final = "github.com/FerretDB/FerretDB"
_SOURCES: Final = [Path(__file__), *(_MODULE / name for name in ("main.go", "go.mod", "go.sum"))]

_ROLES: Final = {"return ok && r.Len() == 0": "return ok && r.Len() >= 0"}

_OTHERWISE: Final[Mapping[str, Mapping[str, str]]] = {
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
}
"""File -> what stands there once -> what is built instead."""


@cache
def program() -> Path:
    """Name the program; it is built first unless it is here."""
    return built("ferretdb-with-users", _SOURCES, _build) / "ferretdb"


def sources() -> list[Path]:
    """Give what the program is made from."""
    return _SOURCES


def _build(folder: Path) -> None:
    changed = folder / "changed"
    # The modules that Go keeps are not to be written.
    shutil.copytree(golang.folder_of(_MODULE, _FERRETDB), changed, copy_function=shutil.copyfile)
    for name, changes in _OTHERWISE.items():
        code = (changed / name).read_text(encoding="utf-8")
        for before, after in changes.items():
            if code.count(before) != 1:
                raise BuildFailed(f"{name} of FerretDB does not have once what is built otherwise:\n{before}")
            code = code.replace(before, after)
        (changed / name).write_text(code, encoding="utf-8")
    module = (_MODULE / "go.mod").read_text(encoding="utf-8")
    (folder / "go.mod").write_text(f"{module}\nreplace {_FERRETDB} => {changed}\n", encoding="utf-8")
    shutil.copyfile(_MODULE / "go.sum", folder / "go.sum")
    golang.build(_MODULE, folder / "ferretdb", ".", f"-modfile={folder}/go.mod")
    shutil.rmtree(changed)
