"""What is set of mail for `ontrack up` is never passed over: it is right, or it is told what is wrong."""

from pathlib import Path
from typing import Final

import orjson
import pytest

from services.cli.mail_settings import mail_settings
from services.mailer.settings import MailSettings
from services.runtime.refusals import SettingsWrong
from tests.support.command import ontrack

RIGHT: Final = {
    "ONTRACK_SMTP_HOST": "mail.clinic.example",
    "ONTRACK_MAIL_FROM": "ontrack@clinic.example",
    "ONTRACK_PORTAL_URL": "https://ontrack.clinic.example",
}
SLIPS: Final = {
    "ONTRACK_SMTP_PORT": "ONTRACK_SMTP_HOST is not set: a host",
    "ONTRACK_PORTAL_URL": "ONTRACK_PORTAL_URL: a URL",
    "ONTRACK_MAIL_FORM": "ONTRACK_MAIL_FORM is an unknown setting: did you mean ONTRACK_MAIL_FROM?",
    "ONTRACK_SMTP_HOSTS": "ONTRACK_SMTP_HOSTS is an unknown setting: did you mean ONTRACK_SMTP_HOST?",
    "ONTRACK_SMPT_HOST": "ONTRACK_SMPT_HOST is an unknown setting: did you mean ONTRACK_SMTP_HOST?",
    "ONTRACK_SMTP_WHATEVER": "ONTRACK_SMTP_HOST is not set: a host",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*RIGHT, "ONTRACK_SECRETS"):
        monkeypatch.delenv(name, raising=False)


def test_where_nothing_is_set_no_mail_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ONTRACK_DATA", "x"), ("ONTRACK_SMTP_PORT", ""), ("ONTRACK_TIME_ZONE", "UTC")):
        monkeypatch.setenv(name, value)
    assert mail_settings(MailSettings) is None


def test_what_is_set_in_full_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    settings = mail_settings(MailSettings)
    assert settings is not None
    assert settings.smtp_host == "mail.clinic.example"


@pytest.mark.parametrize("name", SLIPS)
def test_what_is_set_without_a_mail_server_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1025")
    with pytest.raises(SettingsWrong) as wrong:
        mail_settings(MailSettings)
    *told, why = str(wrong.value).splitlines()
    assert any(line.startswith(SLIPS[name]) for line in told)
    assert why == f"({name} is set, so mail is to be sent)"


def test_a_secret_of_the_mail_server_is_not_passed_over_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ontrack_smtp_password").write_text("a secret")
    monkeypatch.setenv("ONTRACK_SECRETS", str(tmp_path))
    with pytest.raises(SettingsWrong, match=r"\(ONTRACK_SMTP_PASSWORD is set, so mail is to be sent\)$") as wrong:
        mail_settings(MailSettings)
    assert "a secret" not in str(wrong.value)


def test_the_doctor_says_what_is_wrong_with_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONTRACK_SMTP_HOSTS", "mail.clinic.example")
    ran = ontrack("doctor", "--data", home, "--format", "json")
    (found,) = [each for each in orjson.loads(ran.out) if each["what"] == "mail server"]
    assert found["verdict"] == "finding"
    assert "did you mean ONTRACK_SMTP_HOST?" in found["says"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("ONTRACK_MAIL_FROM", ""), ("ONTRACK_MAIL_FROM", "OnTrack <x@y.z>"), ("ONTRACK_PORTAL_URL", "ontrack")],
)
def test_the_doctor_says_what_is_missing_or_wrong_of_what_stands_in_a_mail(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for each, right in {**RIGHT, name: value}.items():
        monkeypatch.setenv(each, right)
    ran = ontrack("doctor", "--data", home, "--format", "json")
    (found,) = [each for each in orjson.loads(ran.out) if each["what"] == "mail server"]
    assert found["verdict"] == "finding"
    assert found["says"].startswith(name)


@pytest.mark.parametrize("host", ["127.0.0.1\r", "mail clinic", "mail..clinic.example", "http://mail", "127.0.0.1:587"])
def test_a_mail_server_that_is_no_host_is_named_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for each, value in {**RIGHT, "ONTRACK_SMTP_HOST": host}.items():
        monkeypatch.setenv(each, value)
    with pytest.raises(SettingsWrong, match=r"^ONTRACK_SMTP_HOST: a host name or an address was expected"):
        mail_settings(MailSettings)


@pytest.mark.parametrize("host", ["mail", "mail.clinic.example", "127.0.0.1", "::1", "klinik-ø.example"])
def test_a_mail_server_is_named_by_a_name_or_an_address(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    for each, value in {**RIGHT, "ONTRACK_SMTP_HOST": host}.items():
        monkeypatch.setenv(each, value)
    settings = mail_settings(MailSettings)
    assert settings is not None
    assert settings.smtp_host == host


def test_the_doctor_says_that_it_has_looked_at_no_mail_server(home: Path) -> None:
    (found,) = [
        each
        for each in orjson.loads(ontrack("doctor", "--data", home, "--format", "json").out)
        if each["what"] == "mail server"
    ]
    assert (found["verdict"], found["says"]) == ("unknown", "not looked at: ONTRACK_SMTP_HOST is not set here")
