"""`ontrack up`, as somebody starts it who has never seen it."""

import os
import pty
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

import orjson
import pytest

from deploy.local.ports import free_ports
from services.cli.interruption import INTERRUPTED
from services.cli.sealing import MINUTES
from services.ingest.access import TOKENS
from tests.support.command import ONTRACK, PATIENCE, ontrack, succeeded
from tests.support.post_office import post_office_beside
from tests.support.region import wait_until
from tests.support.running import Running, running

ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")


def pasted(lines: list[str]) -> str:
    """The command that it says is to be pasted."""
    start = next(place for place, line in enumerate(lines) if "curl" in line)
    return "\n".join(lines[start : start + 3])


def paste(clinic: Running) -> subprocess.CompletedProcess[bytes]:
    """Paste it, with the token where it is looked for."""
    return subprocess.run(
        ["bash", "-c", pasted(clinic.lines)],
        env={**os.environ, "TOKEN": clinic.token},
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )


def test_the_token_of_a_first_start_stands_where_it_was_asked_for_and_nowhere_else(tmp_path: Path) -> None:
    # given a first start whose standard output goes to one file, and everything else to another
    log, kept, port = tmp_path / "up.log", tmp_path / "first.token", free_ports(1)[0]
    with log.open("wb") as err, kept.open("wb") as out:
        up: list[str | Path] = [ONTRACK, "up", "--data", tmp_path / "live", "--port", str(port)]
        process = subprocess.Popen(up, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    try:
        wait_until(lambda: "docs/api.md" in log.read_text(), "it has said what to do next")
    finally:
        process.kill()
        process.wait(PATIENCE)

    # then the token stands alone in its file, and the other does not hold it
    assert re.fullmatch(r"ontrack_\S+\n", kept.read_text())
    assert "ontrack_" not in log.read_text()
    assert f"every other command takes --data {tmp_path / 'live'}" in log.read_text()


def test_where_somebody_reads_it_what_is_to_be_pasted_holds_the_token(tmp_path: Path) -> None:
    # given a first start on a terminal, of which only the log goes to a file
    terminal, end = pty.openpty()
    log, port = tmp_path / "up.log", free_ports(1)[0]
    with log.open("wb") as err:
        up: list[str | Path] = [ONTRACK, "up", "--data", tmp_path / "live", "--port", str(port)]
        process = subprocess.Popen(up, stdin=subprocess.DEVNULL, stdout=end, stderr=err)
    os.close(end)
    try:
        wait_until(lambda: "No mail is sent" in log.read_text(), "it has said what to do next")
        lines = os.read(terminal, 65_536).decode().replace("\r\n", "\n").splitlines()

        # when what stands there is pasted, then a case is enrolled, and the log does not hold the token
        ran = subprocess.run(["bash", "-c", pasted(lines)], capture_output=True, check=False, timeout=PATIENCE)
        assert re.fullmatch(r'\{"case":"[0-9a-f]{32}","fact":"[0-9a-f-]{36}"\}', ran.stdout.decode()), ran.stdout
        assert "ontrack_" not in log.read_text()
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(terminal)


def test_a_first_start_says_what_it_made_and_the_command_that_it_names_works(tmp_path: Path) -> None:
    # given nothing at all
    data = tmp_path / "live"
    with running(data) as clinic:
        wait_until(lambda: any("docs/api.md" in line for line in clinic.lines), "it has said what to do next")

        # when the command that it names is pasted
        ran = paste(clinic)

        # then a case is enrolled
        assert re.fullmatch(r'\{"case":"[0-9a-f]{32}","fact":"[0-9a-f-]{36}"\}', ran.stdout.decode()), ran.stdout
        assert clinic.find("1", clinic.token) == HTTPStatus.OK

        # and it has said so in ten lines, and ends in order
        assert len(clinic.lines) <= 10
        assert clinic.end(signal.SIGINT) == 0
    assert "Everything that was answered is kept" in clinic.lines[-1]

    # and what it holds can be read by every command
    assert succeeded("tracks", "--data", data).exit_code == 0


def test_the_log_is_sealed_by_itself_where_a_key_is_given(tmp_path: Path) -> None:
    # given a key, and a directory that somebody else fetches from
    key, kept, data = tmp_path / "seal.key", tmp_path / "kept", tmp_path / "live"
    public = succeeded("audit", "key", "north.example", "--output", key).out.decode().strip()
    kept.mkdir()
    alone = ontrack("up", "--data", data, "--seal-key", key)
    assert (alone.exit_code, "--checkpoints belong together" in alone.told, data.exists()) == (2, True, False)
    nowhere = ontrack("up", "--data", data, "--seal-key", key, "--checkpoints", tmp_path / "nowhere")
    assert (nowhere.exit_code, data.exists()) == (2, False)
    assert (
        f"{tmp_path}/nowhere is not there: mount its disk, or make it: mkdir -m 700 {tmp_path}/nowhere" in nowhere.told
    )

    # when the clinic runs
    with running(data, options=("--seal-key", key, "--checkpoints", kept)) as clinic:
        wait_until(lambda: any(kept.glob("checkpoint-*.txt")), "a checkpoint")
        assert clinic.end(signal.SIGTERM) == 0

    # then its log is one that was sealed
    (file,) = kept.iterdir()
    told = succeeded("audit", "verify", "--data", data, "--checkpoint", file, "--public-key", public).told
    assert "The checkpoint of" in told


def test_the_log_is_sealed_as_often_as_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a clinic that is to be sealed far more often than each hour
    key, kept, data = tmp_path / "seal.key", tmp_path / "kept", tmp_path / "live"
    succeeded("audit", "key", "north.example", "--output", key)
    kept.mkdir()
    sealing = ("--seal-key", key, "--checkpoints", kept)
    monkeypatch.setenv(MINUTES, "0.0001")
    with running(data, options=sealing) as clinic:
        wait_until(lambda: any("docs/api.md" in line for line in clinic.lines), "it has said what to do next")
        wait_until(lambda: any(kept.glob("checkpoint-*.txt")), "a checkpoint")

        # when something is recorded, then that comes under another one soon
        paste(clinic)
        wait_until(lambda: len([*kept.glob("checkpoint-*.txt")]) > 1, "another checkpoint")

    # and where that is no number it does not start
    monkeypatch.setenv(MINUTES, "often")
    ran = ontrack("up", "--data", data, *sealing)
    assert (ran.exit_code, f"{MINUTES}: a number above 0 was expected" in ran.told) == (2, True)


def test_a_directory_that_is_there_and_empty_is_told_as_made(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    with running(tmp_path / "live") as clinic:
        assert any(line.startswith(f"Made {tmp_path / 'live'}. OnTrack listens") for line in clinic.lines)
    with running(tmp_path / "live") as again:
        assert any(line.startswith(f"Opened {tmp_path / 'live'}. OnTrack listens") for line in again.lines)


def test_what_was_answered_is_there_after_it_was_killed_and_its_token_is_not_made_again(tmp_path: Path) -> None:
    data = tmp_path / "live"
    with running(data) as clinic:
        wait_until(lambda: any("docs/api.md" in line for line in clinic.lines), "it has said what to do next")
        token = clinic.token
        paste(clinic)
        clinic.end(signal.SIGKILL)
    with running(data) as again:
        assert again.find("1", token) == HTTPStatus.OK
        assert not any(line.startswith("ontrack_") for line in again.lines)
        assert again.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_tells_it_to_end_while_it_starts_is_heard(tmp_path: Path, number: signal.Signals) -> None:
    # given a clinic that says that it listens, and does not hear signals yet
    for _ in range(4):
        clinic = Running(tmp_path / "live", free_ports(1)[0], {})
        try:
            deadline = time.monotonic() + PATIENCE
            while not any("No mail is sent" in line for line in clinic.lines):
                assert time.monotonic() < deadline, "it has not said that it listens"

            # when it is told to end at that very moment, then it does
            clinic.process.send_signal(number)
            assert clinic.process.wait(30) == 0
        finally:
            clinic.process.kill()


def test_who_tells_it_to_end_twice_does_not_wait_for_a_client_that_never_ends(tmp_path: Path) -> None:
    with running(tmp_path / "live") as clinic, socket.create_connection(("127.0.0.1", clinic.port)) as client:
        # given a client that has not sent all of its request, for which it waits when it is told to end
        client.sendall(
            b"POST /v1/cases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{" % clinic.token.encode()
        )
        clinic.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not clinic.is_alive(), "it listens no more")
        assert clinic.process.poll() is None

        # when it is told again, then it ends at once, and does not answer first
        assert clinic.end(signal.SIGTERM) == INTERRUPTED
        assert clinic.lines[-1] == "Stopped at once. Nothing is lost."
        client.settimeout(PATIENCE)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_the_doctor_tells_whether_somebody_runs_there(tmp_path: Path) -> None:
    def of_process() -> tuple[str, str, str]:
        ran = ontrack("doctor", "--data", tmp_path / "live", "--format", "json")
        (found,) = [each for each in orjson.loads(ran.out) if each["what"] == "process"]
        return found["verdict"], found["says"], found["do"]

    with running(tmp_path / "live") as clinic:
        # given a clinic that runs, and then is stopped and not ended
        who = clinic.process.pid
        assert of_process() == ("ok", f"{who} runs here", "")
        clinic.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: of_process()[0] == "finding", "it is seen to be stopped")

        # when the doctor looks, then it says so with what to do, and when nobody runs any more it says that
        assert of_process() == ("finding", f"{who} has the directory, and was stopped", f"run kill -CONT {who}")
        clinic.process.send_signal(signal.SIGCONT)
        assert clinic.end(signal.SIGTERM) == 0
    verdict, says, _ = of_process()
    assert (verdict, says.startswith("none is seen to run here")) == ("unknown", True)


def test_a_directory_has_one_process_and_a_port_too(tmp_path: Path) -> None:
    with running(tmp_path / "live") as clinic:
        for data, port, told in (
            (tmp_path / "live", free_ports(1)[0], "another process is writing"),
            (tmp_path / "other", clinic.port, "a port that nobody else listens at was expected"),
        ):
            refused = ontrack("up", "--data", data, "--port", str(port))
            assert refused.exit_code == 2
            assert told in refused.told


def test_tokens_are_made_listed_and_revoked_while_it_runs(tmp_path: Path) -> None:
    data = tmp_path / "live"
    with running(data) as clinic:
        # given a token that was made for the health record
        made = ("token", "make", "records", "--role", "ehr", "--clinic", "clinic", "--data", data)
        secret = succeeded(*made).out.decode().strip()
        assert clinic.find("1", secret) == HTTPStatus.NOT_FOUND

        # when it is listed and revoked
        listed = orjson.loads(succeeded("token", "list", "--data", data, "--format", "json").out)
        (token,) = [each for each in listed if each["name"] == "records"]
        assert secret not in str(listed)
        succeeded("token", "revoke", token["id"], "--data", data)

        # then it lets nobody in, and cannot be revoked again
        assert clinic.find("1", secret) == HTTPStatus.UNAUTHORIZED
        again = ontrack("token", "revoke", token["id"], "--data", data)
        assert again.exit_code == 1
        assert f"no token has the id {token['id']}: it was revoked already" in again.told


def test_who_has_revoked_every_token_is_not_given_another_one_unasked(tmp_path: Path) -> None:
    # given a clinic whose only token was revoked
    data = tmp_path / "live"
    with running(data) as clinic:
        wait_until(lambda: any("docs/api.md" in line for line in clinic.lines), "it has said what to do next")
        (token,) = orjson.loads(succeeded("token", "list", "--data", data, "--format", "json").out)
        succeeded("token", "revoke", token["id"], "--data", data)
        assert clinic.end(signal.SIGTERM) == 0

    # when it is started again, then it makes none
    with running(data) as again:
        assert again.end(signal.SIGTERM) == 0
        assert not any("ontrack_" in line for line in again.lines)
    assert orjson.loads(succeeded("token", "list", "--data", data, "--format", "json").out) == []


def test_a_file_of_tokens_that_others_can_read_is_told_of_in_words(tmp_path: Path) -> None:
    data = tmp_path / "live"
    with running(data) as clinic:
        wait_until(lambda: any("docs/api.md" in line for line in clinic.lines), "it has said what to do next")
        assert clinic.end(signal.SIGTERM) == 0
    tokens = data / TOKENS
    tokens.chmod(0o644)
    refused = ontrack("up", "--data", data, "--port", str(free_ports(1)[0]))
    assert (refused.exit_code, refused.out) == (2, b"")
    assert refused.told == f"Error: {tokens} is open to others: run chmod 600 {tokens}\n"


def test_a_therapist_is_told_by_mail_where_a_mail_server_is_named(tmp_path: Path) -> None:
    # given a clinic that has a mail server, and a group that anna leads
    with post_office_beside(tmp_path) as office:
        mail = {
            "ONTRACK_SMTP_HOST": "127.0.0.1",
            "ONTRACK_SMTP_PORT": str(office.port),
            "ONTRACK_SMTP_CA_FILE": str(office.ca_file),
            "ONTRACK_MAIL_FROM": "ontrack@clinic.example",
            "ONTRACK_PORTAL_URL": "https://ontrack.clinic.example",
        }
        with running(tmp_path / "live", environment=mail) as clinic:
            wait_until(lambda: any("docs/api.md" in line for line in clinic.lines), "it has said what to do next")
            assert not any("No mail is sent" in line for line in clinic.lines)
            clinic.ask("PUT", "/v1/therapists/anna", {"address": "anna@clinic.example"}, clinic.token)
            clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": ["anna"]}, clinic.token)

            # when a patient of the group gets worse
            enrolment = {"number": "1", "group": "mondays", "protocol": "open-ended", "policy": "gryesten-2023"}
            _, enrolled = clinic.ask("POST", "/v1/cases", enrolment, clinic.token)
            for session, value in enumerate((1, 3)):
                answers = {
                    "session": session,
                    "instrument": "odsis",
                    "answers": dict.fromkeys(ODSIS, value),
                    "answered_at": (datetime.now(UTC) - timedelta(days=7 - 7 * session)).isoformat(),
                }
                status, told = clinic.ask(
                    "POST", f"/v1/cases/{enrolled['case']}/response-submitted", answers, clinic.token
                )
                assert status == HTTPStatus.CREATED, told

            # then anna has a mail, and the clinic knows it
            wait_until(lambda: office.to == ["anna@clinic.example"], "a mail was sent")
            listed = ("notices", "--data", tmp_path / "live", "--outcome", "sent", "--format", "json")
            wait_until(lambda: len(orjson.loads(succeeded(*listed).out)) == 1, "the log says that it was sent")
            assert clinic.end(signal.SIGTERM) == 0


def test_what_is_wrong_with_the_settings_of_mail_is_told_before_anything_is_made(tmp_path: Path) -> None:
    ran = subprocess.run(
        [ONTRACK, "up", "--data", tmp_path / "live", "--port", str(free_ports(1)[0])],
        env={**os.environ, "ONTRACK_SMTP_HOST": "mail.clinic.example", "ONTRACK_MAIL_FROM": "OnTrack"},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ran.returncode == 2
    assert b"ONTRACK_MAIL_FROM: an address such as ontrack@clinic.example was expected" in ran.stderr
    assert b"ONTRACK_PORTAL_URL is not set" in ran.stderr
    assert not (tmp_path / "live").exists()
