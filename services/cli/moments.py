"""Moments on the command line."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import click

from services.cli.zone import clinic_zone

FORM: Final = "2026-01-05T08:30, or with its offset from UTC 2026-01-05T08:30+01:00"


def moment_option(says: str, *names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give an option that takes a moment: by the clinic's clock, unless it says its offset from UTC."""
    return click.option(*names, metavar="TIME", callback=_moment, help=f"{says} {FORM}.")


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:  # noqa: ARG001 - click's
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"a moment was expected, such as {FORM}") from None
    said = moment if moment.tzinfo is not None else moment.replace(tzinfo=clinic_zone())
    try:
        said.astimezone(UTC)
    except OverflowError:
        raise click.BadParameter("a moment that the calendar has was expected") from None
    return said
