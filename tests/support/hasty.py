"""A mailer that gives up and tries again after seconds, so that nobody waits for minutes to see that it does.

`python -m tests.support.hasty mailer` serves it.
"""

from datetime import timedelta
from functools import partial
from typing import Final

from services.mailer import app, courier
from services.mailer.domain import delivery
from services.mailer.post import Post

SOON: Final = timedelta(seconds=5)

if __name__ == "__main__":
    delivery.LEASE = delivery.FIRST_RETRY = SOON  # type: ignore[misc] # they are final for everybody else
    # Together less than a lease.
    courier.Post = partial(Post, step_within=1.0, takes_within=2.0)  # type: ignore[attr-defined,assignment] # as above
    app.run()
