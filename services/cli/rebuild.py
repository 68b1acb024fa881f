"""`ontrack rebuild`: what a stage knows, made anew from the log."""

import click

from services.cli.home import run
from services.cli.output import progress, say
from services.cli.place import Place, data_option, opened

STAGES = ("register", "scoring", "not_detector", "notifier", "mailer")


class _Stage(click.Choice[str]):
    """The name of a stage, or of the service that runs it: not_detector is run by not-detector."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(value.replace("-", "_"), param, ctx)


@click.command("rebuild")
@click.argument("name", metavar="STAGE", type=_Stage(STAGES))
@data_option
def rebuild(name: str, place: Place) -> None:
    """Make what a stage knows of its cases anew, from the log.

    STAGE is register, scoring, not_detector, notifier or mailer. Needed when its states are lost, or of a version that
    knows them otherwise. What it had published stays; what it had not come to is published. In a region its service
    must not run meanwhile.

    Example: ontrack rebuild scoring --data DIR
    """
    run(_rebuild(name, place))


async def _rebuild(name: str, place: Place) -> None:
    async with await opened(place, write=True, takes_up=False) as home:
        stage = next(stage for stage in home.every_stage if stage.name == name)
        with progress(f"Rebuilding {name}", None) as advance:
            await home.rebuild(stage, advance)
        say(f"{name} knows again all that the log says.")
