"""The drill: a clinic is backed up while it takes answers, is lost, and goes on from its backup."""

import asyncio
import shutil
import signal
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from contracts.topics import CASES
from services.embedded import MASTER_KEY, EmbeddedHome
from services.runtime.backup.archive import Backup
from services.runtime.keyring.master import MasterKey
from tests.support.clients import Client, Post, Request, working
from tests.support.command import ran_apart
from tests.support.contents import contents, counts, holds_all_of, master_key_in
from tests.support.kept import Following, Kept, both_in, facts_of, is_beginning_of
from tests.support.running import Running, running
from tests.support.simulated import simulated

MORE = 40
"""Answers that come before the backup, and after it."""


def test_a_clinic_that_is_lost_goes_on_from_its_backup(tmp_path: Path) -> None:
    # given a clinic with a history, which runs and takes answers
    data, file = tmp_path / "live", tmp_path / "clinic.backup"
    ran_apart("import", simulated(tmp_path / "facts"), "--data", data)
    token = ran_apart("token", "make", "records", "--role", "ehr", "--clinic", "clinic", "--data", data).out.decode()
    with running(data) as clinic:
        posts = [Client(f"client-{number}", posting(clinic, token.strip())) for number in range(4)]
        with working(*posts) as clients:
            clients.wait_for_more(MORE)

            # and which is backed up meanwhile, and then killed
            ran_apart("backup", file, "--data", data)
            clients.wait_for_more(MORE)
            clinic.end(signal.SIGKILL)
    key, lost = (data / MASTER_KEY).read_bytes(), concluded(data)
    whole = contents(data)

    # when all that is left is the backup and the master key, and it is restored
    shutil.rmtree(data)
    ran_apart("restore", file, "--data", master_key_in(data, key))

    # then everything that was answered before the backup began is there, to the byte, and what follows from it
    found = both_in(data)
    before = answered_before(file, data, clients.answered)
    assert len(before) >= MORE
    assert {request.answer[1]["fact"] for request in before} <= facts_of(found[0])
    assert is_beginning_of(found, lost)
    assert found[0].facts < lost[0].facts

    # and it goes on: what is repeated is answered alike and changes nothing
    facts = counts(data)[CASES.name]
    with running(data) as clinic:
        for request in before:
            assert clinic.ask("POST", request.path, request.body, token.strip(), request.key) == request.answer
        assert counts(data)[CASES.name] == facts

        # and what came later is taken again
        for client in posts:
            for request in client.sent:
                status, answer = clinic.ask("POST", request.path, request.body, token.strip(), request.key)
                assert status == HTTPStatus.CREATED
                assert request.at is None or answer == request.answer[1]
        assert clinic.end(signal.SIGTERM) == 0

    # so that in the end nothing is lost
    concluded(data)
    assert holds_all_of(contents(data), whole)


def posting(clinic: Running, token: str) -> Post:
    return lambda path, body, key: clinic.ask("POST", path, body, token, key)


def answered_before(file: Path, data: Path, answered: Sequence[Request]) -> list[Request]:
    """What was answered before a backup began."""
    with Backup.opened(file) as backup:
        backup.require_master(MasterKey.read(data / MASTER_KEY))
        began = backup.manifest.began.timestamp()
    return [request for request in answered if request.at is not None and request.at < began]


def concluded(directory: Path) -> tuple[Kept, Following]:
    """Let every stage read what is there; give what was kept and what follows from it."""

    async def conclude() -> None:
        async with await EmbeddedHome.open(directory, write=True) as home:
            await home.catch_up()

    asyncio.run(conclude())
    return both_in(directory)
