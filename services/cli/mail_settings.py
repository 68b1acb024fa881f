"""How mail is sent, as the environment has it: nothing that was set for it is passed over."""

import os
from typing import TYPE_CHECKING, Final, TypeVar

from services.cli.place import DATA
from services.runtime.refusals import SettingsWrong

if TYPE_CHECKING:
    from services.mailer.settings import MailServerSettings

SettingsT = TypeVar("SettingsT", bound="MailServerSettings")

SMTP_HOST: Final = "ONTRACK_SMTP_HOST"
_BEGINNINGS: Final = ("SMTP_", "MAIL_")
"""What is called so can be meant for nothing but mail."""


def mail_is_meant() -> list[str]:
    """Name what is set of mail, also with a slip in its name; where that is nothing, none is to be sent."""
    if not any(value and name.startswith("ONTRACK_") and name != DATA for name, value in os.environ.items()):
        return []
    # They take a while to load, and where nothing is set they are not needed.
    from services.mailer.settings import MailSettings  # noqa: PLC0415
    from services.runtime.environment import meant_for  # noqa: PLC0415

    return meant_for(MailSettings, _BEGINNINGS)


def mail_settings(kind: "type[SettingsT]") -> "SettingsT | None":
    """Read how mail is sent; None if nothing is set. Raises SettingsWrong: what is wrong, and then what is set."""
    names = mail_is_meant()
    if not names:
        return None
    from services.runtime.environment import settings_of  # noqa: PLC0415 - as above

    try:
        return settings_of(kind)
    except SettingsWrong as wrong:
        are = "is" if len(names) == 1 else "are"
        raise SettingsWrong(f"{wrong}\n({', '.join(names)} {are} set, so mail is to be sent)") from None
