"""Settings as they are read: from the environment, secrets from files in one folder, and what is wrong there."""

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from services.runtime.refusals import SettingsWrong
from services.runtime.settings import PREFIX, SECRETS, RegionSettings, Settings, expected, variable

_NOT_READ_HERE: Final = ("ONTRACK_DATA", "ONTRACK_REQUIRE_ALL", "ONTRACK_TEST_")
_ALIKE: Final = 0.8
"""How much a name is like that of a setting, at most 1, from which on it is taken for a slip. A platform that names its
own variables after services, such as ONTRACK_KAFKA_PORT, stays below."""

SettingsT = TypeVar("SettingsT", bound=Settings)


def settings_of(kind: type[SettingsT]) -> SettingsT:
    """Read settings from the environment and the folder of secrets. Raises SettingsWrong, which names every fault.

    A secret that cannot be read comes before all others: what else is right cannot be told without it.
    """
    folder, faults = os.environ.get(SECRETS) or None, list(_misspelt())
    if folder is not None and not Path(folder).is_dir():
        faults.append(f"{SECRETS}: a folder with a file for each secret was expected")
        folder = None
    if folder is not None:
        files = _secrets_in(Path(folder))
        faults += _misspelt_secrets(files)
        if unreadable := list(_unreadable(files)):
            raise SettingsWrong("\n".join([*faults, *unreadable]))
    try:
        settings = kind(_secrets_dir=folder)
    except ValidationError as wrong:
        faults += dict.fromkeys(_told(kind, wrong.errors(include_input=False)))
    except SettingsError:
        faults.append(f"{SECRETS}: a folder with small files was expected")
    if faults:
        raise SettingsWrong("\n".join(faults))
    return settings


def region_settings() -> RegionSettings:
    """Read where the servers of a region are. Raises SettingsWrong."""
    return settings_of(RegionSettings)


def meant_for(kind: type[Settings], beginnings: Sequence[str]) -> list[str]:
    """Name what is set of some settings, by the environment or a file of a secret, also with a slip in its name.

    beginnings: of names, without the prefix, that can be meant for nothing else. Raises SettingsWrong.
    """
    folder = os.environ.get(SECRETS) or ""
    files = _secrets_in(Path(folder)) if Path(folder).is_dir() and folder else []
    names = {name.removeprefix(PREFIX) for name, value in os.environ.items() if value and name.startswith(PREFIX)}
    names |= {_setting_in(file) for file in files if not file.suffix}
    fields = {name.upper() for name in kind.model_fields}
    ours = (name for name in names if (_meant(name) or name) in fields or name.startswith(tuple(beginnings)))
    return sorted(map(variable, ours))


def _secrets_in(folder: Path) -> list[Path]:
    """Give the files of a folder that are called as ours are. Raises SettingsWrong."""
    try:
        return sorted(each for each in folder.iterdir() if each.name.upper().startswith(PREFIX))
    except OSError:
        raise SettingsWrong(f"{SECRETS}: a folder that this user may read was expected") from None


def _misspelt_secrets(files: list[Path]) -> Iterator[str]:
    """Name the files with a slip in their name. What has an ending is none: a certificate, or what an editor left."""
    for file in files:
        if not file.suffix and (meant := _meant(_setting_in(file))):
            yield f"{SECRETS}: {file.name} is an unknown setting: did you mean {variable(meant).lower()}?"


def _unreadable(files: list[Path]) -> Iterator[str]:
    """Name the files that hold a setting, and whose content cannot be read."""
    for file in files:
        if _setting_in(file) in _known() and not _is_text(file):
            yield f"{SECRETS}: {file.name}: a file with text that this user may read was expected"


def _setting_in(file: Path) -> str:
    return file.name.upper().removeprefix(PREFIX)


def _is_text(file: Path) -> bool:
    try:
        file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return True


def _misspelt() -> Iterator[str]:
    """Name what is hardly anything but a setting with a slip; what is merely unknown belongs to somebody else."""
    for name in sorted(name for name, value in os.environ.items() if value and name.startswith(PREFIX)):
        meant = _meant(name.removeprefix(PREFIX))
        if meant and not name.startswith(_NOT_READ_HERE):
            yield f"{name} is an unknown setting: did you mean {variable(meant)}?"


def _meant(name: str) -> str | None:
    """Give the setting that a name is with a slip; None for one without, and for a name that is merely unknown."""
    known = _known()
    return None if name in known else next(iter(get_close_matches(name, known, 1, _ALIKE)), None)


def _known() -> list[str]:
    """Name every setting of a service or of all, without the prefix."""
    return ["SECRETS", *{name.upper() for kind in _kinds(Settings) for name in kind.model_fields}]


def _kinds(kind: type[Settings]) -> Iterator[type[Settings]]:
    """Give settings with all that are more of their kind: whatever one service reads may be set for all."""
    yield kind
    for more in kind.__subclasses__():
        yield from _kinds(more)


def _told(kind: type[Settings], errors: list[ErrorDetails]) -> Iterator[str]:
    """Say what is wrong with settings, and what was expected; never what stands there."""
    for error in errors:
        name = str(error["loc"][0])
        ours = str(error.get("ctx", {}).get("error", ""))
        if ours:
            yield f"{variable(name)} {ours}"
        else:
            is_not_set = " is not set" if error["type"] == "missing" else ""
            yield f"{variable(name)}{is_not_set}: {expected(kind, name)} was expected"
