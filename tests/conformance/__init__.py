"""What every adapter of a port promises: suites to inherit, one for each port."""

import pytest

pytest.register_assert_rewrite(*(f"tests.conformance.{port}" for port in ("log", "store", "keyring", "away")))
