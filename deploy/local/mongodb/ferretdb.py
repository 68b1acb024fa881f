"""FerretDB as a server over PostgreSQL."""

import os
from pathlib import Path

from deploy.local.mongodb.postgresql import OWNER, PostgreSQL
from deploy.local.mongodb.program import program
from deploy.local.places import made
from deploy.local.ports import HOST, exchange, require_free
from deploy.local.server import Server
from deploy.local.tls import Tls

_POOL = 400
"""Connections to PostgreSQL that it takes at most for each user that it serves. A command that writes takes as many as
it has writes and one more; when all are taken while each waits for another one, nobody gets an answer any more."""

_IDLE = "30s"

_MEMORY_FOR_TIME = "400"
"""Percent of what it keeps that may be garbage: it keeps little, and looking for garbage takes a third of its time."""

_PING = bytes.fromhex(
    "33000000 01000000 00000000 dd070000 00000000 00"  # the header of a message that has one document
    "1e000000 10 70696e6700 01000000 02 24646200 06000000 61646d696e00 00"  # {"ping": 1, "$db": "admin"}
)
_OK = bytes.fromhex("01 6f6b00 000000000000f03f")
"""{"ok": 1.0}"""
_SHORTEST_ANSWER = 38


class FerretDB(Server):
    """A server over PostgreSQL. It stores nothing itself."""

    def __init__(
        self,
        directory: Path,
        postgresql: PostgreSQL,
        port: int,
        *,
        secure: tuple[int, Tls] | None = None,
        known_only: bool = False,
    ) -> None:
        """Name the folder of its log, what it stores in, its port, and where it listens with TLS.

        With `known_only` it serves nobody but PostgreSQL's users.
        """
        super().__init__("ferretdb", directory, port)
        self.port = port
        self._postgresql = postgresql
        self._secure = secure
        self._known_only = known_only

    def answers(self) -> bool:
        """Tell whether it answers just now; where it serves only known users, a refusal is an answer too."""
        if self.pid is None:
            return False
        answer = exchange(self.port, _PING, _SHORTEST_ANSWER)
        return bool(answer) if self._known_only else _OK in answer

    def _launch(self) -> None:
        made(self.directory)
        require_free(self.port, *([] if self._secure is None else [self._secure[0]]))
        self._process.start([program()], environment=self._environment())

    def _environment(self) -> dict[str, str]:
        password = "" if self._known_only else f":{self._postgresql.password}"
        server = f"{OWNER}{password}@{HOST}:{self._postgresql.port}"
        options = f"sslmode=disable&pool_max_conns={_POOL}&pool_max_conn_idle_time={_IDLE}"
        environment = {
            "GOGC": _MEMORY_FOR_TIME,
            "ONTRACK_LISTEN": f"{HOST}:{self.port}",
            # A password that the machine knows for somebody else would let everybody in.
            "PGPASSWORD": "",
            "PGPASSFILE": os.devnull,
            "ONTRACK_POSTGRESQL_URL": f"postgres://{server}/postgres?{options}",
        }
        if self._secure is not None:
            port, tls = self._secure
            environment |= {
                "ONTRACK_LISTEN_TLS": f"{HOST}:{port}",
                "ONTRACK_TLS_CERTIFICATE": str(tls.certificate),
                "ONTRACK_TLS_KEY": str(tls.key),
                "ONTRACK_TLS_CLIENT_AUTHORITY": str(tls.client_authority or ""),
            }
        return environment
