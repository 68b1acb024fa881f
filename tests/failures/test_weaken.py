"""What `python -m tests.failures.weaken` takes out stands in the code, so that the script can be run at any time."""

import pytest

from tests.failures.weaken import ROOT, WEAKENINGS, Weakening


@pytest.mark.parametrize("weakening", WEAKENINGS, ids=lambda weakening: weakening.name)
def test_a_guard_that_is_taken_out_stands_in_the_code_once(weakening: Weakening) -> None:
    text = ROOT.joinpath(weakening.file).read_text("utf-8")
    assert text.count(weakening.guard) == 1
    assert weakening.instead not in text
