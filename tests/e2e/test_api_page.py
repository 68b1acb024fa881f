"""What the page about the API says to type does what it says, from the first token to the picture of a course."""

import re
from pathlib import Path
from typing import Final

from deploy.local.ports import free_ports
from tests.docs.markdown import DOCS
from tests.support.command import ONTRACK
from tests.support.pages import typed

PAGE: Final = DOCS / "api.md"


def test_a_first_integration_succeeds_as_the_page_has_it(tmp_path: Path) -> None:
    # given a checkout that was set up
    (tmp_path / ".venv").symlink_to(ONTRACK.parents[1])
    text = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))

    # when somebody types everything that stands there
    ran = typed(text.replace("8080", str(free_ports(1)[0])), tmp_path)

    # then each command succeeds: what was corrected stands as it was corrected, and both ways to answer were taken
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"status":"amended"' in ran.stdout
    assert '"occasions":[]' in ran.stdout
    assert "The response is recorded" in ran.stdout
    assert "session 1: ODSIS taken from the EHR" in ran.stdout
