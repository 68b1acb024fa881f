"""Every command of the page for auditors does what it says, one after the other."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from services.auditor.checkpoint import Checkpoint
from services.auditor.domain.findings import What
from services.auditor.sealing import signer_in
from tests.support.command import ONTRACK, succeeded
from tests.support.pages import ROOT, typed

PAGE = ROOT / "docs" / "auditor.md"


def test_an_auditor_who_has_never_seen_it_convinces_themselves_as_the_page_says(tmp_path: Path) -> None:
    # given a checkout that was set up, and a checkpoint of another log that was kept before
    (tmp_path / ".venv").symlink_to(ONTRACK.parents[1])
    (tmp_path / "kept").mkdir()
    succeeded("audit", "key", "south.example", "--output", tmp_path / "south.key")
    another = Checkpoint("another", datetime(2026, 1, 1, tzinfo=UTC), ())
    note = signer_in(tmp_path / "south.key").signed(another.text())
    (tmp_path / "kept" / "checkpoint-2026-01-01T000000Z.txt").write_text(note)
    text = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))

    # when somebody types everything that stands there
    ran = typed(text, tmp_path)

    # then each command succeeds, and says what the page says
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for told in (
        "The checkpoint of",
        "What can be seen without keys is right",
        "The history verifies: all that follows from its facts is what stands there.",
        "It is shown: the event",
        "Both say the same.",
    ):
        assert told in ran.stderr
    assert "Case P0001, session 5" in ran.stdout
    assert "What happened" in (tmp_path / "P0001.txt").read_text()


def test_every_finding_is_explained() -> None:
    table = PAGE.read_text("utf-8").partition("### What a finding means")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == sorted(get_args(What))
