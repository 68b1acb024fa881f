"""What is checked of the mail server: that it takes mail from us, as far as it says so before it is sent any."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from services.cli.doctor.checked import Checked, certificate, ill, well
from services.mailer.post import MailAway, MailServer, Post


async def of_mail_server(server: MailServer, sender: str) -> AsyncIterator[Checked]:
    """Connect to a mail server as the mailer does, and send nothing."""
    async with Post(server) as post:
        try:
            await post.open()
            expires = post.expires()
            await post.ask(sender)
        except MailAway as away:
            yield ill("mail server", str(away), "no mail goes out until then")
            return
        yield well("mail server", f"{server.host}:{server.port} takes mail from {sender} over TLS")
        yield certificate("mail server", expires, datetime.now(UTC), "tell whoever runs it")
