"""Where a command works: a data directory, or a region whose servers the environment names."""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from services.cli.output import counted, progress, say
from services.cli.zone import clinic_zone
from services.embedded import EmbeddedHome
from services.home import Home

DATA: Final = "ONTRACK_DATA"
SERVERS: Final = "ONTRACK_KAFKA_SERVERS"


@dataclass(frozen=True, slots=True)
class Region:
    """The region that the environment names."""


Place = Path | Region


def _is_there(path: Path) -> bool:
    """Tell whether something is there; of what nobody may look at that is not known."""
    with suppress(PermissionError):
        return path.exists()
    return False


class _Directory(click.Path):
    """A directory, whether it is there or not."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not os.fspath(value):
            self.fail("a directory was expected, and nothing is said: is a variable not set?", param, ctx)
        path = Path(value)
        above = next(each for each in path.absolute().parents if _is_there(each))
        if not above.is_dir():
            self.fail(f"{path} was expected to be a directory, but {above} is a file", param, ctx)
        return super().convert(value, param, ctx)


DIRECTORY: Final = _Directory(path_type=Path, file_okay=False)


async def opened(place: Place, *, write: bool = False, takes_up: bool = True) -> Home:
    """Open the home at a place. Raises what opening such a home raises.

    takes_up: whether stages that nobody runs go on here; who writes no facts needs none, and would be in the way of who
        does. A directory has one writer anyway
    """
    if isinstance(place, Path):
        return await EmbeddedHome.open(place, write=write, zone=clinic_zone())
    # The clients of the servers take a while to load, and most commands work on a directory.
    from services.distributed import DistributedHome  # noqa: PLC0415
    from services.runtime.environment import region_settings  # noqa: PLC0415
    from services.runtime.logs import hush  # noqa: PLC0415

    hush()
    return await DistributedHome.open(region_settings(), write=write and takes_up)


async def settled(home: Home) -> None:
    """Wait until the services have processed what was recorded, where they are processes of their own."""
    with progress("The services go on", None) as advance:
        waiting = await home.settle(advance)
    left = f"{counted(waiting.events, 'event')} {'waits' if waiting.events == 1 else 'wait'}"
    if waiting.idle:
        services = ", ".join(stage.replace("_", "-") for stage in waiting.idle)
        say(
            f"{left} for services that nobody runs: {services}. "
            "Nothing is lost: start them with ontrack serve, and they go on."
        )
    elif waiting.events:
        say(
            f"{left} for services that do not get on. Nothing is lost: each says at /ready what keeps it from going on."
        )


def _place(context: click.Context, option: click.Parameter, value: Path | None) -> Place | None:
    has_region = SERVERS in os.environ
    if value is None:
        return Region() if has_region else None
    if has_region and context.get_parameter_source(str(option.name)) is ParameterSource.ENVIRONMENT:
        raise click.BadParameter(
            f"{DATA} and {SERVERS} are both set: unset one of them, or name a directory: --data DIR"
        )
    return value


def _required_place(context: click.Context, option: click.Parameter, value: Path | None) -> Place:
    return required(_place(context, option, value))


def required(place: Place | None, *others: str) -> Place:
    """Make sure that a place was named. Raises click.BadParameter. others: what else could have been named."""
    if place is None:
        raise click.BadParameter("; or ".join((f"name a data directory: --data DIR, or set {DATA}", *others)))
    return place


_place_option = partial(click.option, "--data", "place", type=DIRECTORY, envvar=DATA)
_OF_PLACE: Final = f"The data directory (or set {DATA}; or {SERVERS} and more for a region)."

data_option = _place_option(callback=_required_place, help=_OF_PLACE)
optional_data_option = _place_option(callback=_place, help=_OF_PLACE)
known_option = _place_option(
    callback=_place, help=f"Use the definitions of this data directory (or set {DATA}), not those that ship."
)
