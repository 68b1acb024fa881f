"""What erasing a case is tried with: the secrets of one, where they stand, and the command."""

import asyncio
import os
import pty
import sqlite3
import subprocess
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

from contracts.codec import CaseKey
from contracts.events.event import fact_id, new_fact
from contracts.events.facts import CaseErased
from services.embedded import DATABASE, EmbeddedHome
from services.mailer.domain.delivery import begun
from tests.support.command import ONTRACK, PATIENCE, Ran, ontrack, succeeded
from tests.support.desk import Desk
from tests.support.unprivileged import NOBODY

ANNA, GONE, COMMENT = "0101801234", "0202804321", "since Karen has left"
SESSIONS: Final = range(5)
AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
SLICE: Final = 24
"""Bytes by which something long is recognised: parts of it may stand on several pages of a database."""

ERASE: Final = ("erase", GONE, "--ground", "asked-for", "--by", "kim", "--confirm", GONE)


async def let_mail_wait(directory: Path) -> None:
    """Let a mail of every case wait."""
    async with await EmbeddedHome.open(directory, write=True) as home:
        for case_id in await home.names():
            await home.outbox.begin(begun(case_id, f"notice-of-{case_id}", ["bo"], AT))


def case_of(directory: Path, number: str = GONE) -> str:
    """The id of a case."""
    return next(case for case, its in asyncio.run(_names(directory)).items() if its == number)


async def _names(directory: Path) -> Mapping[str, str]:
    async with await EmbeddedHome.open(directory) as home:
        return await home.names()


def secrets_of(directory: Path, number: str = GONE) -> dict[str, bytes]:
    """What must not be found any more: who it is, what they said, their key, and all that was kept under it."""
    case_id = case_of(directory, number)
    key = asyncio.run(_key(directory, case_id))
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        [wrapped] = database.execute("SELECT wrapped FROM keys WHERE case_id = ?", (case_id,)).fetchone()
        [entry] = database.execute("SELECT entry FROM directory WHERE case_id = ?", (case_id,)).fetchone()
        states = database.execute("SELECT stage, body FROM states WHERE case_id = ?", (case_id,)).fetchall()
    assert len(states) == 4
    return {
        "number": number.encode(),
        "key": key.secret,
        "key as text": b64encode(key.secret),
        "wrapped key": wrapped,
        "entry": entry,
        "mail": f"notice-of-{case_id}".encode(),
        **{f"state of {stage}": body[len(body) // 2 :][:SLICE] for stage, body in states},
    }


async def _key(directory: Path, case_id: str) -> CaseKey:
    async with await EmbeddedHome.open(directory) as home:
        key = (await home.keyring.keys([case_id]))[case_id]
        assert isinstance(key, CaseKey)
        return key


def bytes_below(place: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a place, and what is in those that are archives."""
    for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if file.is_file():
            yield file, file.read_bytes()
            if file.suffix in (".backup", ".zip", ".unfinished"):
                try:
                    with ZipFile(file) as archive:
                        yield from ((file / name, archive.read(name)) for name in archive.namelist())
                except BadZipFile:
                    continue


def found(place: Path, secrets: Mapping[str, bytes]) -> set[str]:
    """Which secrets stand somewhere below a place, as they are or as text that a database or JSON made of them."""
    return {
        name
        for _, content in bytes_below(place)
        for name, secret in secrets.items()
        if any(part in content for part in _parts(secret))
    }


def _parts(secret: bytes) -> Collection[bytes]:
    return {secret} | {secret[start : start + SLICE] for start in range(0, len(secret) - SLICE + 1, SLICE)}


def erase(desk: Desk, *options: str | Path, home: Path | None = None) -> Ran:
    """Erase the one case, in the home of a desk or in another one."""
    return ontrack(*ERASE, *options, "--data", home or desk.home)


def verified(*source: str | Path) -> str:
    """What is told of a history that verifies."""
    return succeeded("audit", "verify", *source).told


@contextmanager
def given_up(home: Path, pages: Path) -> Iterator[None]:
    """Let somebody who is not root write a home, and only read some pages beside it."""
    for place in [home.parent, home, *home.iterdir()] if os.getuid() == 0 else ():
        os.chown(place, NOBODY, NOBODY)
    pages.chmod(0o555)
    try:
        yield
    finally:
        pages.chmod(0o700)


async def record_only(directory: Path, *, is_read: bool = True) -> None:
    """Say on the log that the one case was erased, and do nothing else. is_read: whether the stages read that."""
    async with await EmbeddedHome.open(directory, write=True) as home:
        [case_id] = await home.cases_named(GONE)
        data = CaseErased(ground="asked-for", by="kim")
        name = fact_id("ontrack", "erase", case_id)
        await home.intake.record(
            [new_fact(data, case_id=case_id, fact_id=name, source="urn:ontrack:erase", happened=AT)]
        )
        if is_read:
            await home.catch_up()


def at_a_terminal(arguments: Sequence[str | Path], *typed: str) -> tuple[int, str]:
    """Run a command for a person who types some lines; give its exit code, and what it told."""
    person, program = pty.openpty()
    with closing(os.fdopen(program)) as terminal, closing(os.fdopen(person, "wb")) as keys:
        asked = [ONTRACK, *arguments]
        process = subprocess.Popen(asked, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        keys.write("".join(f"{line}\n" for line in typed).encode())
        keys.flush()
        _, told = process.communicate(timeout=PATIENCE)
    return process.returncode, told.decode()
