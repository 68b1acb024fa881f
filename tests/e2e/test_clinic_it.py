"""Every command of the page for clinic IT does what it says, one after the other."""

import configparser
import json
import re
from pathlib import Path

from deploy.local.ports import free_ports
from tests.support.command import ONTRACK, succeeded
from tests.support.pages import ROOT, typed
from tests.support.post_office import post_office_beside

PAGE = ROOT / "docs" / "clinic-it.md"
NEED_MORE = {"up", "audit key"}
"""Commands that the last table names and that are not asked of a clinic."""


def test_a_clinic_is_installed_connected_kept_and_mended_as_the_page_says(tmp_path: Path) -> None:
    # given a checkout that was set up, and a mail server in place of the clinic's
    (tmp_path / ".venv").symlink_to(ONTRACK.parents[1])
    text = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    with post_office_beside(tmp_path) as office:
        text = text.replace("8080", str(free_ports(1)[0]))
        host = f"SMTP_HOST=127.0.0.1\nONTRACK_SMTP_CA_FILE={office.ca_file}"
        text = text.replace("SMTP_HOST=mail.clinic.example", host)
        text = text.replace("SMTP_PORT=587", f"SMTP_PORT={office.port}")

        # when somebody types everything that stands there
        ran = typed(text, tmp_path)

    # then each command succeeds, the doctor finds nothing wrong, and the case that was restored and erased is erased
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count('{"alive":true}') == 6
    assert "monday.backup is whole" in ran.stderr
    assert "The checkpoint of 20" in ran.stderr
    assert "monday.backup was written anew without it" in ran.stdout
    assert "was erased on" in succeeded("case", "1001", "--data", tmp_path / "restored").told

    # and what it names at the end, for when something is wrong, is there to be asked
    tokens = json.loads(succeeded("token", "list", "--format", "json", "--data", tmp_path / "clinic").out)
    names = {"ID": tokens[0]["id"], "NUMBER": "1001"}
    last_table = PAGE.read_text("utf-8").partition("\n## What to do when\n")[2]
    commands = re.findall(r"`ontrack ([^`]+)`", last_table)
    assert len({*commands} - NEED_MORE) == 5
    for command in {*commands} - NEED_MORE:
        succeeded(*(names.get(part, part) for part in command.split()), "--data", tmp_path / "clinic")


def test_what_systemd_starts_is_what_the_page_starts_by_hand() -> None:
    page = PAGE.read_text("utf-8")
    unit, checkpoints = re.findall(r"^```ini\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    written = configparser.ConfigParser(interpolation=None)
    written.optionxform = str  # type: ignore[assignment,method-assign] # names as they are
    written.read_string(unit)
    command = written["Service"]["ExecStart"].removeprefix(f"{written['Service']['WorkingDirectory']}/")
    assert f"\n{command.replace('/srv/ontrack/clinic', './clinic')} 2> up.log" in page
    assert written["Service"]["ReadWritePaths"] in command
    assert written["Service"]["EnvironmentFile"].endswith("/ontrack.env")
    assert "cat > ontrack.env" in page

    # and it is tried again for as long as it fails: five starts within ten seconds are the last ones
    assert written["Service"]["Restart"] == "always"
    assert int(written["Service"]["RestartSec"]) * 5 > 10

    # and where checkpoints go it may write too
    (path,) = re.findall(r"^ReadWritePaths=-(.*)$", checkpoints, re.MULTILINE)
    kept = path.replace(written["Service"]["WorkingDirectory"], "$PWD")
    assert f"\nONTRACK_SEAL_DIRECTORY={kept}\n" in page


def test_systemd_starts_no_new_clinic_where_a_disk_is_missing(tmp_path: Path) -> None:
    # given what it runs before, on a clinic, and on the empty place of one
    (before,) = re.findall(r"^ExecStartPre=(.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    succeeded("demo", "--data", tmp_path / "clinic")
    (tmp_path / "empty").mkdir()
    ended = {
        name: typed(before.replace("/srv/ontrack/clinic", str(tmp_path / name)), tmp_path).returncode
        for name in ("clinic", "empty")
    }

    # then it goes on with the first one only
    assert ended == {"clinic": 0, "empty": 1}


def test_no_token_stands_in_what_a_command_is_given_where_every_user_of_the_machine_sees_it() -> None:
    for page in (PAGE, ROOT / "deploy/README.md"):
        assert not re.search(r"(-H|--header) [\"']Authorization", page.read_text("utf-8")), page
