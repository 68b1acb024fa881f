"""`ontrack up`: a clinic in one process, with its API."""

import errno
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from contracts.events.fields import is_name
from services.cli.home import Failure, run
from services.cli.interruption import is_asked
from services.cli.mail_settings import SMTP_HOST, mail_is_meant, mail_settings
from services.cli.output import is_written, say
from services.cli.place import DATA, DIRECTORY
from services.cli.sealing import TOGETHER, Sealing, missing, sealing_options
from services.cli.zone import clinic_zone
from services.ingest.access import TOKENS, Client, Tokens

if TYPE_CHECKING:
    from services.auditor.note import Signer
    from services.auditor.sealing import Rhythm, Sealer
    from services.embedded import EmbeddedHome
    from services.up import Mail

    Signing = tuple[Signer, Path, Rhythm]

LOOPBACK: Final = "127.0.0.1"
FIRST: Final = "first"
"""The name of the client that a first start makes a token for."""


@click.command("up")
@click.option(
    "--data",
    "directory",
    type=DIRECTORY,
    envvar=DATA,
    default=Path("ontrack-data"),
    show_default=True,
    help=f"The data directory; it is made if it is not there (or set {DATA}).",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="Where it listens.")
@sealing_options
@click.option("--clinic", default="clinic", show_default=True, help="Whose the token of a first start is.")
def up(directory: Path, port: int, seal_key: Path | None, checkpoints: Path | None, clinic: str) -> None:
    """Run a whole clinic in one process: the API, the clock, and every stage behind them.

    It listens on this machine only. One process has a data directory at a time; Ctrl-C ends it, and nothing is lost
    when it is killed. Mail goes out where ONTRACK_SMTP_HOST and what belongs to it is set. With --seal-key and
    --checkpoints, a checkpoint of the log is signed each hour, or as often as ONTRACK_SEAL_MINUTES says, and after
    10,000 records.

    Example: ontrack up --data ./clinic
    """
    if not is_name(clinic):
        raise Failure(
            "--clinic: at most 64 letters a to z, digits and . _ : - were expected, the first a letter or digit"
        )
    signing = _signing(Sealing.said(seal_key, checkpoints))
    try:
        listening = socket.create_server((LOOPBACK, port))
    except OSError as refused:
        raise Failure(f"--port {port}: {why_not_at(port, refused)}") from None
    with listening:
        run(_served(directory, listening, clinic, signing))


def why_not_at(port: int, refused: OSError) -> str:
    """Say why nobody can listen at a port, and what was expected."""
    why, *_ = str(refused.strerror).partition(" (")
    if refused.errno == errno.EACCES:
        return f"the system lets this user listen at no such port ({why}): one from 1024 on was expected"
    if refused.errno == errno.EADDRINUSE:
        return f"a port that nobody else listens at was expected ({why})"
    return f"nobody can listen at {LOOPBACK}:{port} ({why})"


def _signing(said: Sealing) -> "Signing | None":
    """Read how checkpoints are signed, if they are. Raises Failure."""
    if said.is_half:
        raise Failure(TOGETHER)
    if said.key is None or said.kept is None:
        return None
    if not said.kept.is_dir():
        says, do = missing(said.kept)
        raise Failure(f"--checkpoints: {says}: {do}")
    from services.auditor.sealing import KeyUnusable, Rhythm, signer_in  # noqa: PLC0415 - as below

    try:
        return signer_in(said.key), said.kept, Rhythm(time=said.every())
    except KeyUnusable as unusable:
        raise Failure(f"--seal-key: {unusable}") from None


async def _served(directory: Path, listening: socket.socket, clinic: str, signing: "Signing | None") -> None:
    # They take a while to load, and help is wanted at once.
    from services.embedded import EmbeddedHome, holds_database  # noqa: PLC0415
    from services.runtime.logs import set_up_logs  # noqa: PLC0415
    from services.up import Up  # noqa: PLC0415

    mail = _mail()
    set_up_logs("text", "warning")
    is_new = not holds_database(directory)
    home = await EmbeddedHome.found(directory, mails=mail is not None, zone=clinic_zone())
    tokens, port = Tokens(directory / TOKENS), listening.getsockname()[1]
    _welcome(directory, port, tokens.make_first(Client(FIRST, "admin", clinic), home.clock()), is_new=is_new)
    if mail is None:
        say(f"No mail is sent: set {SMTP_HOST} and what docs/clinic-it.md says of mail, and start again.")
    await Up(home, tokens, mail, _sealer(home, signing)).serve(listening, is_asked)
    say("Ended. Everything that was answered is kept.")


def _sealer(home: "EmbeddedHome", signing: "Signing | None") -> "Sealer | None":
    if signing is None:
        return None
    from services.auditor.sealing import Sealer  # noqa: PLC0415 - as above

    return Sealer(home.log, home.log_id, *signing, home.clock)


def _mail() -> "Mail | None":
    """Read how mail is sent, if that is set. Raises SettingsWrong."""
    if not mail_is_meant():
        return None
    from services.mailer.settings import MailSettings  # noqa: PLC0415
    from services.up import Mail  # noqa: PLC0415

    settings = mail_settings(MailSettings)
    return None if settings is None else Mail(settings.mail_server(), settings.letterhead())


def _welcome(directory: Path, port: int, secret: str | None, *, is_new: bool) -> None:
    """Say what was made, where it is, and what to do next."""
    say(f"{'Made' if is_new else 'Opened'} {directory}. OnTrack listens at http://{LOOPBACK}:{port} until Ctrl-C.")
    if secret is None:
        return
    say("Keep a copy of master.key elsewhere: without it nothing can be read.")
    say("This token lets an administrator in; it is shown this once (ontrack token make makes others):")
    if not is_written(secret, "stdout"):
        say("It could not be written there, so nobody has it: ontrack token make makes another one.")
        return
    # Where the token goes to a file, nothing that goes elsewhere gives it away.
    is_read = sys.stdout.isatty()
    held = "" if is_read else ", after TOKEN=$(cat FILE), with the file that the token went to"
    say(f"Enrol a first case by pasting this{held}:")
    for line in _first_case(secret if is_read else "$TOKEN", port):
        (click.echo if is_read else say)(line)
    say(f"What else it can do stands in docs/api.md; every other command takes --data {directory}.")


def _first_case(token: str, port: int) -> list[str]:
    """Give the lines of a command that enrols a case."""
    return [
        f"  curl -H \"Authorization: Bearer {token}\" -H 'Content-Type: application/json' \\",
        f"    -H 'Idempotency-Key: first' http://{LOOPBACK}:{port}/v1/cases \\",
        '    -d \'{"number": "1", "protocol": "group-cbt-depression-14", "policy": "gryesten-2023"}\'',
    ]
