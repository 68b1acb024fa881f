"""What every adapter of a port promises: suites to inherit, one for each port."""

import pytest

for suite in ("log", "store", "keyring", "directory", "away"):
    pytest.register_assert_rewrite(f"tests.conformance.{suite}")
