"""What is checked of the mail server: that it takes mail from us."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from services.cli.checks.checked import Checked, certificate, ill, well
from services.mailer.post import MailAway, MailServer, Post


async def of_mail_server(server: MailServer) -> AsyncIterator[Checked]:
    """Connect to a mail server as the mailer does, and send nothing."""
    async with Post(server) as post:
        try:
            await post.open()
        except MailAway as away:
            yield ill("mail server", "no mail can be sent", str(away))
            return
        yield well("mail server", f"{server.host}:{server.port} takes mail over TLS")
        yield certificate("mail server", post.expires(), datetime.now(UTC), "tell whoever runs it")
