"""FerretDB as it is in place of MongoDB in a container: with users who prove themselves by SCRAM, and a replica set.

It can do so, but a program that embeds it cannot ask for it. So a few lines of it are built otherwise than they stand.
Rights are taken and not looked at: every user may do everything.
"""

from functools import cache, partial
from pathlib import Path
from typing import Final

from deploy.local.building import built
from deploy.local.mongodb import program as embedded
from deploy.local.mongodb.program import FERRETDB, Changes

_SOURCES: Final = [Path(__file__), *embedded.sources()]

_ROLES: Final = {"return ok && r.Len() == 0": "return ok && r.Len() >= 0"}

_OTHERWISE: Final[Changes] = {
    "ferretdb/ferretdb.go": {
        '	"net/url"\n': '	"net/url"\n	"os"\n	"time"\n',
        f'	"{FERRETDB}/internal/util/state"\n': (
            f'	"{FERRETDB}/internal/util/password"\n	"{FERRETDB}/internal/util/state"\n'
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


@cache
def program() -> Path:
    """Name the program; it is built first unless it is here."""
    return built("ferretdb-with-users", _SOURCES, partial(embedded.build, changes=_OTHERWISE)) / "ferretdb"


def sources() -> list[Path]:
    """Give what the program is made from."""
    return _SOURCES
