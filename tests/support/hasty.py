"""A mailer that gives up and tries again after seconds, so that nobody waits for minutes to see that it does.

`python -m tests.support.hasty mailer` serves it.
"""

from datetime import timedelta
from typing import Final

from services.mailer import app, post
from services.mailer.domain import delivery

SOON: Final = timedelta(seconds=5)

if __name__ == "__main__":
    delivery.LEASE = delivery.FIRST_RETRY = SOON  # type: ignore[misc] # they are final for everybody else
    post.STEP_WITHIN, post.TAKES_WITHIN = 1.0, 2.0  # type: ignore[misc] # as above; together less than a lease
    app.run()
