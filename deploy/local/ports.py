"""Ports on the loopback address: which are free, and who answers."""

import fcntl
import json
import os
import random
import socket
import tempfile
from pathlib import Path

from deploy.local.places import made, written

HOST = "127.0.0.1"

PORTS = "ports.json"
"""The file in a folder of data that says which ports were chosen for it."""

_FREE = range(20_000, 27_000)
"""Below the ports that the system lends to outgoing connections: a server that is restarted finds its own free."""

_FOLDER = Path(tempfile.gettempdir()) / f"ontrack-ports-{os.getuid()}"
"""Holds a lock for every chosen port. A process lets go of its locks when it ends, and not before."""


class PortTaken(Exception):
    """Another program listens where a server should. Says where."""


def ports_of(directory: Path, count: int) -> list[int]:
    """Read which ports the servers of a folder have, or choose free ones and write them down there."""
    file = made(directory) / PORTS
    if not file.exists():
        written(file, json.dumps(free_ports(count)))
    ports = [int(port) for port in json.loads(file.read_text(encoding="utf-8"))]
    for port in ports:
        _hold(port)
    return ports


def free_ports(count: int) -> list[int]:
    """Choose free ports that no other process chooses meanwhile."""
    chosen: list[int] = []
    for port in random.sample(_FREE, len(_FREE)):
        if len(chosen) == count:
            break
        if _is_free(port) and _hold(port):
            chosen.append(port)
    return chosen


def require_free(*ports: int) -> None:
    """Make sure that nobody listens on any of the ports. Raises PortTaken."""
    for port in ports:
        if not _is_free(port):
            raise PortTaken(f"another program listens on {HOST}:{port}: end it")


def exchange(port: int, request: bytes, enough: int) -> bytes:
    """Send bytes to a port and return the first ones of the answer; none if nobody answers."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(request)
            answer = b""
            while len(answer) < enough:
                part = connection.recv(65_536)
                if not part:
                    return b""
                answer += part
            return answer
    except OSError:
        return b""


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def _hold(port: int) -> bool:
    _FOLDER.mkdir(exist_ok=True)
    lock = os.open(_FOLDER / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    return True
