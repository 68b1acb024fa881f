"""`ontrack token`: the credentials of the API's clients."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from contracts.events.fields import instant, is_name
from services.cli.home import FINDING, Failure, in_words
from services.cli.output import Format, Row, format_option, say
from services.cli.place import DATA, DIRECTORY
from services.cli.tables import print_rows
from services.embedded import require_home
from services.ingest.access import EVERY, ROLES, TOKENS, Client, Role, Token, Tokens
from services.ingest.domain.register import OF_GROUP

FILE: Final = "ONTRACK_TOKENS_FILE"
COLUMNS: Final = ("id", "made", "role", "clinic", "name")


def _file(context: click.Context, option: click.Parameter, value: Path | None) -> Tokens:  # noqa: ARG001 - click's
    if value is not None:
        # A token where no clinic is would let nobody in, and be in its way.
        with in_words():
            require_home(value)
        return Tokens(value / TOKENS)
    if FILE in os.environ:
        return Tokens(Path(os.environ[FILE]))
    raise click.BadParameter(f"name a data directory: --data DIR, or set {FILE}")


tokens_option = click.option(
    "--data",
    "tokens",
    type=DIRECTORY,
    envvar=DATA,
    callback=_file,
    help=f"The data directory (or set {DATA}; or {FILE} for a region).",
)


@click.group("token")
def token() -> None:
    """Make, list and revoke the tokens by which clients are let in.

    Example: ontrack token make patients --role patient-app --clinic clinic --data DIR
    """


@token.command("make")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the client may do.")
@click.option("--clinic", help="The only clinic whose cases it can see; the mailer works for all of them.")
@tokens_option
def make(name: str, role: Role, clinic: str | None, tokens: Tokens) -> None:
    """Make a token for the client NAME. It is printed here, and kept nowhere: only a digest of it is.

    Example: ontrack token make patients --role patient-app --clinic clinic --data DIR
    """
    if (clinic is None) != (role == "mailer"):
        of_all = "the mailer works for every clinic: leave it out"
        raise Failure("--clinic: " + (of_all if role == "mailer" else f"a clinic was expected for {role}"))
    for what, given in (("NAME", name), ("--clinic", clinic)):
        if given is not None and not is_name(given):
            raise Failure(
                f"{what}: at most 64 letters a to z, digits and . _ : - were expected, the first a letter or digit"
            )
    if f":{name}".endswith(OF_GROUP):
        raise Failure(f"NAME: another one was expected: {OF_GROUP[1:]} is how OnTrack says what follows from a group")
    with in_words():
        secret = tokens.make(Client(name, role, clinic or EVERY), datetime.now(UTC))
    click.echo(secret)
    say("Give it to the client now: it cannot be shown again.")


@token.command("list")
@tokens_option
@format_option
def list_(tokens: Tokens, form: Format) -> None:
    """List the tokens, without what they are.

    Example: ontrack token list --data DIR
    """
    nothing = "There are no tokens, so nobody is let in; ontrack token make makes one."
    with in_words():
        found = tokens.all()
    print_rows(map(_row, found), COLUMNS, form, nothing)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@tokens_option
def revoke(token_id: str, tokens: Tokens) -> None:
    """Let the token ID, as it is listed, let nobody in from now on.

    Example: ontrack token revoke 3fa9c1 --data DIR
    """
    with in_words():
        was_there = tokens.revoke(token_id)
    if not was_there:
        raise Failure(
            f"no token has the id {token_id}: it was revoked already, or never was one. "
            "ontrack token list lists those that let somebody in",
            FINDING,
        )
    say(f"Revoked {token_id}: it lets nobody in any more.")


def _row(each: Token) -> Row:
    return {"id": each.id, "made": instant(each.made), "role": each.role, "clinic": each.clinic, "name": each.name}
