"""Who is let in, and what is kept of the tokens that let them in."""

import asyncio
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.ingest.access import TOKENS, Client, Tokens, TokensUnusable

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
PATIENTS = Client("patients", "patient-app", "north")
RECORDS = Client("records", "ehr", "south")


def let_in(tokens: Tokens, authorization: str | None) -> Client | None:
    """Who shows that."""
    return asyncio.run(tokens.client(authorization))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def tokens(file: Path) -> Tokens:
    return Tokens(file)


def test_a_token_lets_its_client_in_and_no_other(tokens: Tokens) -> None:
    secrets = {client: tokens.make(client, NOW) for client in (PATIENTS, RECORDS)}
    for client, secret in secrets.items():
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert let_in(tokens, f"{scheme} {secret}") == client


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer ", "Bearer wrong", "Basic eDp5", "bearer", "Bearer \udcff"]
)
def test_nothing_else_lets_anybody_in(tokens: Tokens, authorization: str | None) -> None:
    secret = tokens.make(PATIENTS, NOW)
    assert let_in(tokens, authorization) is None
    assert let_in(tokens, secret) is None
    assert let_in(tokens, f"Bearer {secret[:-1]}") is None
    assert let_in(tokens, f"Bearer {secret} ") is None


def test_without_a_file_nobody_is_let_in(tokens: Tokens) -> None:
    assert let_in(tokens, "Bearer ontrack_") is None
    assert list(tokens.all()) == []


def test_only_a_digest_of_a_token_is_kept_where_only_its_owner_reads(tokens: Tokens, file: Path) -> None:
    secret = tokens.make(PATIENTS, NOW)
    assert secret.removeprefix("ontrack_").encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_another_process_makes_and_revokes_holds_at_once(tokens: Tokens, file: Path) -> None:
    # given a token that another process made
    elsewhere = Tokens(file)
    secret = elsewhere.make(PATIENTS, NOW)
    assert let_in(tokens, f"Bearer {secret}") == PATIENTS

    # when it is revoked there
    (token,) = elsewhere.all()
    assert elsewhere.revoke(token.id)

    # then it lets nobody in here
    assert let_in(tokens, f"Bearer {secret}") is None
    assert not elsewhere.revoke(token.id)


def test_no_two_tokens_are_alike(tokens: Tokens) -> None:
    secrets = [tokens.make(PATIENTS, NOW) for _ in range(50)]
    assert len(set(secrets)) == len({token.id for token in tokens.all()}) == len(secrets)


@pytest.mark.parametrize("content", [b"", b"{", b'{"tokens": [{"id": "a"}]}', b"\xff"])
def test_a_damaged_file_lets_nobody_in_and_is_not_written_over(tokens: Tokens, file: Path, content: bytes) -> None:
    secret = tokens.make(PATIENTS, NOW)
    file.write_bytes(content)
    for attempt in (lambda: let_in(tokens, f"Bearer {secret}"), lambda: tokens.make(RECORDS, NOW)):
        with pytest.raises(TokensUnusable, match="is damaged"):
            attempt()
    assert file.read_bytes() == content


def test_a_file_that_others_can_read_lets_nobody_in(tokens: Tokens, file: Path) -> None:
    secret = tokens.make(PATIENTS, NOW)
    file.chmod(0o640)
    with pytest.raises(TokensUnusable, match="chmod 600"):
        let_in(Tokens(file), f"Bearer {secret}")


def test_of_several_who_change_the_tokens_at_once_nobody_undoes_what_another_did(file: Path) -> None:
    # given some tokens, and as many who each revoke one and make another
    for _ in range(8):
        Tokens(file).make(PATIENTS, NOW)
    old = {token.id for token in Tokens(file).all()}

    # when they do that at the same time
    def change(token_id: str) -> None:
        own = Tokens(file)
        assert own.revoke(token_id)
        own.make(RECORDS, NOW)

    with ThreadPoolExecutor(8) as together:
        for done in [together.submit(change, token_id) for token_id in old]:
            done.result()

    # then all of that has been done
    assert [token.name for token in Tokens(file).all()] == [RECORDS.name] * 8
    assert not {token.id for token in Tokens(file).all()} & old


def test_a_token_that_root_makes_keeps_the_file_with_whom_the_directory_is(tmp_path: Path) -> None:
    # given a directory of somebody else's, as far as whoever runs this can give it away
    somebody = 65_534 if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path, somebody, -1)

    # when tokens are made, then the file is theirs, also when it is written again, and closed to all others
    for _ in range(2):
        Tokens(tmp_path / TOKENS).make(RECORDS, NOW)
        status = (tmp_path / TOKENS).stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (somebody, 0o600)
