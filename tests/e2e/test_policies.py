"""Every command of the page for whoever changes the rules does what it says, one after the other."""

import json
import re
from pathlib import Path

from tests.support.command import ONTRACK
from tests.support.pages import ROOT, typed

PAGE = ROOT / "docs" / "policies.md"


def test_a_changed_policy_is_described_tried_and_used_as_the_page_says(tmp_path: Path) -> None:
    # given a checkout that was set up
    (tmp_path / ".venv").symlink_to(ONTRACK.parents[1])
    (tmp_path / "contracts").symlink_to(ROOT / "contracts")
    text = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))

    # when somebody types everything that stands there
    ran = typed(text, tmp_path)

    # then each command succeeds, and says what the page says
    assert ran.returncode == 0, ran.stdout + ran.stderr
    words = " ".join(ran.stdout.split())
    assert "at least 4 points worse than at the start" in words
    assert "at least 3 points" not in words
    assert "with a baseline of 10 it fires at 14 or higher" in words
    assert "sessions would be judged otherwise, in" in words
    assert "Regelsættet ser på ét tal" in (tmp_path / "ours.txt").read_text("utf-8")
    assert [row["policy"] for row in json.loads((tmp_path / "trial.json").read_text())] == [
        "against",
        "tried",
        "baseline",
        "window",
    ]
    assert "</html>" in (tmp_path / "trial.html").read_text("utf-8")
