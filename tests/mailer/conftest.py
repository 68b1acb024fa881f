"""A clinic that sends mail, with a real mail server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.mailing import MailingClinic, mailing_clinic


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[MailingClinic]:
    async with mailing_clinic(tmp_path) as made:
        yield made
