"""Every command of the page for clinic IT does what it says, one after the other."""

import re
from pathlib import Path

from deploy.local.ports import free_ports
from tests.support.command import ONTRACK, succeeded
from tests.support.pages import ROOT, typed
from tests.support.post_office import post_office_beside

PAGE = ROOT / "docs" / "clinic-it.md"


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

    # then each command succeeds, the doctor finds nothing wrong, and the case is in what was restored
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count('{"alive":true}') == 4
    assert "monday.backup is whole" in ran.stderr
    succeeded("case", "1001", "--data", tmp_path / "restored")
