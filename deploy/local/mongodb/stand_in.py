"""PostgreSQL and FerretDB together: what tests and developers have in place of MongoDB."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.mongodb.ferretdb import FerretDB
from deploy.local.mongodb.postgresql import PostgreSQL
from deploy.local.ports import HOST, ports_of
from deploy.local.tls import Tls


@dataclass(frozen=True)
class MongoPorts:
    """Where the servers listen: FerretDB to plain clients and to those with TLS, PostgreSQL to FerretDB."""

    plain: int
    secure: int
    postgresql: int


class MongoStandIn:
    """The two servers in one folder. What they store outlives them; one that is made again there finds it."""

    def __init__(
        self,
        directory: Path,
        *,
        ports: MongoPorts | None = None,
        tls: Tls | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        """Choose ports unless they are named. With `users`, each a name and a password, nobody else is served."""
        directory = directory.resolve()
        self.ports = ports or MongoPorts(*ports_of(directory, 3))
        self._users = dict(users or {})
        self.postgresql = PostgreSQL(directory / "postgresql", self.ports.postgresql)
        self.ferretdb = FerretDB(
            directory / "ferretdb",
            self.postgresql,
            self.ports.plain,
            secure=None if tls is None else (self.ports.secure, tls),
            known_only=bool(self._users),
        )

    @property
    def url(self) -> str:
        """Where plain clients find it."""
        return f"mongodb://{HOST}:{self.ports.plain}/"

    @property
    def secure_address(self) -> str:
        """Where clients with TLS find it."""
        return f"{HOST}:{self.ports.secure}"

    def start(self) -> None:
        """Start what does not run, and wait until both answer."""
        self.postgresql.start()
        if self._users:
            self.postgresql.let_in(self._users)
        self.ferretdb.start()

    def answers(self) -> bool:
        """Tell whether both answer just now."""
        return self.postgresql.answers() and self.ferretdb.answers()

    def stop(self) -> None:
        """Ask both to end."""
        self.ferretdb.stop()
        self.postgresql.stop()

    def kill(self) -> None:
        """Kill both."""
        self.ferretdb.kill()
        self.postgresql.kill()

    def restart(self) -> None:
        """Stop both and start them again."""
        self.stop()
        self.start()
