"""PostgreSQL with a data folder and a port of its own, apart from any that the machine runs."""

import os
import secrets
import shutil
import signal
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.building import run
from deploy.local.places import made, written
from deploy.local.ports import HOST, exchange, require_free
from deploy.local.prerequisites import POSTGRES, POSTGRESQL, ROOT, require
from deploy.local.server import Server

OWNER = "ferretdb"
_READY = "database system is ready to accept connections"
_TLS_ASKED_FOR = bytes.fromhex("00000008 04d2162f")
"""The one question that PostgreSQL answers before it wants to know who asks."""

_ORPHANS_END_WITHIN = 10.0
_LOOK_AGAIN = 0.01

_MOST_CONNECTIONS = 1_300
"""FerretDB takes up to 400 for every user that it serves."""


class UnreachableFolder(Exception):
    """PostgreSQL's user may not enter a folder. Says which."""


class PostgreSQL(Server):
    """A server on the loopback address."""

    asks_to_end = signal.SIGINT
    """At this one PostgreSQL breaks off all connections and ends."""

    def __init__(self, directory: Path, port: int) -> None:
        """Name the server's folder and its port."""
        super().__init__("postgresql", directory.resolve(), port)
        self.port = port
        self._user = POSTGRES if os.geteuid() == ROOT else None
        self._data = self.directory / "data"
        self._first_process = self._data / "postmaster.pid"
        self._password = self.directory / "password"

    @property
    def password(self) -> str:
        """The password of the user who owns everything."""
        return self._password.read_text(encoding="utf-8")

    def answers(self) -> bool:
        """Tell whether the server runs and takes connections."""
        return self.pid is not None and _READY in self._process.said() and bool(exchange(self.port, _TLS_ASKED_FOR, 1))

    def _launch(self) -> None:
        self._make()
        self._end_orphans()
        require_free(self.port)
        self._process.start(self._command(), user=self._user)

    def kill(self) -> None:
        """Kill it with all its processes, as a power cut would."""
        super().kill()
        _send(signal.SIGKILL, self._orphans())
        self._end_orphans()

    def pause(self) -> None:
        """Halt all its processes."""
        _send(signal.SIGSTOP, self._processes())

    def unpause(self) -> None:
        """Let all its processes go on."""
        _send(signal.SIGCONT, self._processes())

    def let_in(self, users: Mapping[str, str]) -> None:
        """Make users with passwords, who work on what the owner owns."""
        statements = [
            f"DO $$BEGIN CREATE ROLE {_name(user)}; EXCEPTION WHEN duplicate_object THEN NULL; END$$;\n"
            f"ALTER ROLE {_name(user)} LOGIN PASSWORD {_text(password)};\n"
            f"GRANT {OWNER} TO {_name(user)};\n"
            f"ALTER ROLE {_name(user)} SET role = {OWNER};\n"
            for user, password in users.items()
        ]
        self._say("".join(statements))

    def refuse_writes(self, *, refused: bool) -> None:
        """Refuse every write of connections that are made or used from now on, or take them again."""
        self._say(
            f"ALTER SYSTEM SET default_transaction_read_only = {'on' if refused else 'off'};\nSELECT pg_reload_conf();"
        )

    def _say(self, statements: str) -> None:
        where = ["-X", "-q", "-h", HOST, "-p", str(self.port), "-U", OWNER, "-v", "ON_ERROR_STOP=1", "postgres"]
        run([self._program("psql"), *where], environment={"PGPASSWORD": self.password}, said=statements)

    def _program(self, name: str) -> Path:
        (programs,) = require(POSTGRESQL)
        return programs / name

    def _command(self) -> list[str | Path]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(_MOST_CONNECTIONS),
            "lc_messages": "C",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", self._data, *options]

    def _make(self) -> None:
        """Make the data folder, and the owner's password, unless it is there."""
        if self._data.exists():
            return
        made(self.directory)
        if self._user is not None:
            _require_reachable(self.directory)
            shutil.chown(self.directory, self._user, self._user)
        written(self._password, secrets.token_hex(16), owner=self._user)
        unfinished = self.directory / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        run(
            [
                self._program("initdb"),
                *("-D", unfinished, "-U", OWNER, "--pwfile", self._password, "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            within=self.directory,
            user=self._user,
        )
        unfinished.rename(self._data)

    def _end_orphans(self) -> None:
        """Wait until no process of a killed server is left: a new server would refuse to start beside them."""
        deadline = time.monotonic() + _ORPHANS_END_WITHIN
        while orphans := self._orphans():
            if time.monotonic() > deadline:
                _send(signal.SIGKILL, orphans)
            time.sleep(_LOOK_AGAIN)
        if not self._processes():
            # The pid that it names may be that of another program by now, and PostgreSQL would refuse to start.
            self._first_process.unlink(missing_ok=True)

    def _orphans(self) -> list[int]:
        """Find the processes whose first process is gone: none, where somebody else runs a server on the data."""
        processes = self._processes()
        with suppress(FileNotFoundError):
            first = self._first_process.read_text(encoding="utf-8").partition("\n")[0]
            return [] if int(first or 0) in processes else processes
        return processes

    def _processes(self) -> list[int]:
        """Find the processes that work in the data folder: each connection has one of its own."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                program = (process / "exe").readlink().name
                if program.startswith("postgres") and (process / "cwd").readlink() == self._data:
                    found.append(int(process.name))
        return found


def _send(number: signal.Signals, processes: Sequence[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _require_reachable(directory: Path) -> None:
    """Make sure that PostgreSQL's user may enter all folders on the way. Raises UnreachableFolder."""
    for folder in directory.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise UnreachableFolder(
                f"the user {POSTGRES} may not enter {folder}: name a folder for the data that it may reach, "
                "by --data or ONTRACK_LOCAL"
            )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
