"""What the tests build their stories from: histories, a workbench for stages, and ports that fail on purpose."""

import pytest

pytest.register_assert_rewrite(
    "tests.support.contents",
    "tests.support.desk",
    "tests.support.digests",
    "tests.support.episodes",
    "tests.support.faulty",
    "tests.support.opened",
    "tests.support.simulated",
    "tests.support.workbench",
)
