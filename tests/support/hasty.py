"""A mailer that tries again after seconds, so that nobody waits for minutes to see that it does.

`python -m tests.support.hasty mailer` serves it.
"""

from datetime import timedelta
from typing import Final

from services.mailer import app
from services.mailer.domain import delivery

SOON: Final = timedelta(seconds=3)

if __name__ == "__main__":
    delivery.FIRST_RETRY = SOON  # type: ignore[misc] # it is final for everybody else
    app.run()
