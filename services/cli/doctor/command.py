"""`ontrack doctor`: what is wrong with a home or a region, and what to do."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import click

from services.cli.doctor.checked import Checked, ill, unknown
from services.cli.home import FINDING, run
from services.cli.mail_settings import SMTP_HOST, mail_is_meant, mail_settings
from services.cli.output import Format, counted, emit, format_option, say
from services.cli.place import Place, data_option
from services.cli.screen import painted, size, wrapped
from services.cli.sealing import Sealing, sealing_options
from services.runtime.refusals import SettingsWrong

INGEST_URL = "ONTRACK_INGEST_URL"
COLUMNS = ("verdict", "what", "says", "do")


@click.command("doctor")
@data_option
@sealing_options
@format_option
def doctor(place: Place, seal_key: Path | None, checkpoints: Path | None, form: Format) -> None:
    """Check a data directory or a region, and say in plain words what is wrong and what to do.

    In a region: servers, versions, certificates, clocks, disks, topics and their copies, services, and the API if
    ONTRACK_INGEST_URL says where it is. In both: whether the log is whole and everything on it is processed, whether
    all that is known of cases and the roster can be read, halted cases, dead letters, unknown definitions, and mail
    that does not go out, whether the log has what the last checkpoint on it speaks of, and whether checkpoints can be
    signed and are, as far as it is told of them. It changes nothing. The exit code is 1 if something is wrong.

    Example: ontrack doctor --data DIR
    """
    wrong = run(_shown(place, Sealing.said(seal_key, checkpoints), form))
    say(f"{counted(wrong, 'finding')}." if wrong else "Nothing is wrong.")
    if wrong:
        raise SystemExit(FINDING)


async def _shown(place: Place, sealing: Sealing, form: Format) -> int:
    """Check and show, to a person as it is found; give how many findings there are."""
    found: list[Checked] = []
    async for each in _checked(place, sealing):
        found.append(each)
        if form == "table":
            _show(each)
    if form != "table":
        emit([{name: getattr(each, name) for name in COLUMNS} for each in found], COLUMNS, form)
    return sum(each.verdict == "finding" for each in found)


async def _checked(place: Place, sealing: Sealing) -> AsyncIterator[Checked]:
    # What a region needs takes a while to load, and a directory needs none of it.
    from services.cli.doctor.of_seals import of_sealing  # noqa: PLC0415

    is_directory = isinstance(place, Path)
    sends_mail = _sends_mail() if is_directory else bool(os.environ.get(SMTP_HOST))
    if isinstance(place, Path):
        from services.cli.doctor.of_directory import of_directory  # noqa: PLC0415

        async for each in of_directory(place, sends_mail=sends_mail, sealing=sealing):
            yield each
    else:
        from services.cli.doctor.of_region import of_api, of_region  # noqa: PLC0415
        from services.runtime.environment import region_settings  # noqa: PLC0415
        from services.runtime.logs import hush  # noqa: PLC0415

        hush()
        async for each in of_region(region_settings(), sends_mail=sends_mail, sealing=sealing):
            yield each
        if url := os.environ.get(INGEST_URL):
            async for each in of_api(url):
                yield each
    for each in of_sealing(sealing):
        yield each
    async for each in _of_mail(sends_mail=sends_mail):
        yield each


def _sends_mail() -> bool:
    """Tell whether mail is to be sent; settings that cannot be read are told of when they are looked at."""
    try:
        return bool(mail_is_meant())
    except SettingsWrong:
        return True


async def _of_mail(*, sends_mail: bool) -> AsyncIterator[Checked]:
    """Look at the mail server; where none is named, say that none was looked at."""
    if not sends_mail:
        yield unknown("mail server", f"not looked at: {SMTP_HOST} is not set here")
        return
    from services.cli.doctor.of_mail_server import of_mail_server  # noqa: PLC0415 - as above
    from services.mailer.settings import MailSettings  # noqa: PLC0415 - as above

    try:
        settings = mail_settings(MailSettings)
    except SettingsWrong as wrong:
        yield ill("mail server", str(wrong), "mend these settings: whatever sends mail does not start with them")
        return
    if settings is not None:
        async for each in of_mail_server(settings.mail_server(), settings.mail_from):
            yield each


def _show(each: Checked) -> None:
    """Show one check: what was seen, and below it what to do."""
    mark = {"ok": "ok", "finding": "FINDING", "unknown": "unknown"}[each.verdict]
    first = f"{mark:<8} {each.what}: "
    for line in wrapped(each.says, first=first, rest=" " * 9, width=size()[0]):
        click.echo(painted(line, bold=each.verdict == "finding"))
    if each.do:
        for line in wrapped(each.do, first=" " * 9 + "→ ", rest=" " * 11, width=size()[0]):
            click.echo(line)
