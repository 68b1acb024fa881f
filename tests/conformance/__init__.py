"""What every adapter of a port promises: suites to inherit, one for each port."""

import pytest

pytest.register_assert_rewrite("tests.conformance.log", "tests.conformance.store", "tests.conformance.keyring")
