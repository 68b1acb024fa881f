"""`ontrack ready`: whether a service of this machine is ready, for whoever watches its container."""

import http.client
import json
from typing import Final

import click

HOST: Final = "127.0.0.1"
ANSWERS_WITHIN: Final = 5.0
NO_ANSWER: Final = "it does not answer"


@click.command("ready")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    envvar="ONTRACK_HTTP_PORT",
    required=True,
    help="Where the service tells how it is (or set ONTRACK_HTTP_PORT).",
)
def ready(port: int) -> None:
    """Ask a service of this machine whether it is ready; if it is not, say why, and end with 1.

    Example: ontrack ready --port 8081
    """
    why = why_not(port)
    if why:
        # Asked every few seconds, it imports no more than it needs.
        raise click.ClickException("; ".join(why))
    click.echo("ready")


def why_not(port: int) -> list[str]:
    """Give the reasons why a service is not ready; none if it is."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWERS_WITHIN)
    try:
        connection.request("GET", "/ready")
        said = json.loads(connection.getresponse().read())
        return [str(reason) for reason in said["why"]]
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
        return [NO_ANSWER]
    finally:
        connection.close()
