"""The table of commands. Each is imported when it is called, so that help answers at once."""

import gc
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from services.cli.interruption import Interrupted

_STANDARD_ERROR: Final = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, and what it does in a line."""

    place: str
    says: str


COMMANDS: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "demo": Entry("services.cli.demo:demo", "Watch a simulated clinic from the first answer to the reports."),
        "up": Entry("services.cli.up:up", "Run a whole clinic in one process, with its API."),
        "simulate": Entry("services.cli.simulate:simulate", "Draw a cohort of simulated patients."),
        "token": Entry("services.cli.token:token", "Make, list and revoke the tokens of the API's clients."),
        "import": Entry("services.cli.imports.command:import_", "Take responses from a file, or an exported log."),
        "export": Entry("services.cli.export:export", "Write the log as NDJSON."),
        "backup": Entry(
            "services.cli.backup.command:backup", "Keep what cannot be rebuilt in one file, or check such a file."
        ),
        "restore": Entry("services.cli.backup.restore:restore", "Make a home of a backup."),
        "tracks": Entry("services.cli.tracks:tracks", "List the status of every session of every case."),
        "case": Entry("services.cli.case.command:case", "Show one case as a picture."),
        "reports": Entry("services.cli.reports.command:reports", "List the reports, open them, or write them as HTML."),
        "notices": Entry("services.cli.notices:notices", "List the mails that say that a report is waiting."),
        "policy": Entry("services.cli.policy.group:policy", "List, show and describe NOT policies, or try one."),
        "definitions": Entry(
            "services.cli.definitions:definitions", "List or show definitions, or check a clinic's own."
        ),
        "erase": Entry("services.cli.erase.command:erase", "Erase a case for ever, and list what remains."),
        "doctor": Entry(
            "services.cli.doctor.command:doctor", "Check a home or a region: what is wrong, and what to do."
        ),
        "halted": Entry("services.cli.halted:halted", "List the cases that cannot go on, or try them again."),
        "dlq": Entry("services.cli.dlq:dlq", "List the facts that could not be read, or take them in."),
        "secrets": Entry("services.cli.secrets:secrets_", "Make certificates, passwords and keys for a region."),
        "provision": Entry("services.cli.provision:provision_", "Make what a region stands on: topics, indexes, key."),
        "audit": Entry("services.cli.audit.group:audit", "Look whether a history is whole and right."),
        "rebuild": Entry("services.cli.rebuild:rebuild", "Make what a stage knows anew, from the log."),
        "serve": Entry("services.cli.serve:serve", "Run one service of a region."),
        "ready": Entry("services.cli.ready:ready", "Ask a service of this machine whether it is ready."),
    }
)


class Lazy(click.Group):
    """A group that imports a command when it is called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what was typed, with streams on which it can be answered."""
        _make_sure_of_streams()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what the system refuses is told in words, and so is Ctrl-C, also before there is work."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            raise Interrupted from None
        except BrokenPipeError:
            raise
        except OSError as refused:
            where = f"{refused.filename}: " if refused.filename else ""
            raise click.ClickException(f"{where}{refused.strerror or refused}") from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Give the commands in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.place.partition(":")
        # Nothing that is loaded is garbage, and to look for some again and again is a tenth of the time that it takes.
        gc.disable()
        try:
            command: click.Command = getattr(import_module(module), name)
        finally:
            gc.freeze()
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.says) for name, entry in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ontrack")
def main() -> None:
    """OnTrack: routine outcome monitoring for group treatment.

    Patients answer short questionnaires; when one is not on track, the therapists get a report.

    To see it work: ontrack demo. To use your own data:
    ontrack import FILE.csv --enrol --data DIR, then ontrack reports --data DIR.
    """


def _make_sure_of_streams() -> None:
    """Have something at the place of a stream that was closed: the next file that is opened would be written to as it.

    Where a terminal lacks a character, all else is told all the same.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it takes no name
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = os.fdopen(_STANDARD_ERROR, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
