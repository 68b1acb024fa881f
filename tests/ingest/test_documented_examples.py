"""The examples of the page about the API do what it says, one after the other."""

import re
import shlex
from typing import Final

import pytest

from tests.docs.markdown import DOCS
from tests.support.asgi import Answer, ask
from tests.support.open_clinic import Clinic

PAGE: Final = DOCS / "api.md"
ADDRESS: Final = "http://127.0.0.1:8080"


def examples() -> list[str]:
    """The commands of the page."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if block.startswith("curl ")]


async def run(clinic: Clinic, command: str, **variables: str) -> Answer:
    """Do what a command of curl does."""
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    headers: dict[str, str] = {}
    path, body = "", b""
    for word in words:
        match word:
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words).encode()
            case _:
                assert word.startswith(ADDRESS), word
                path = word.removeprefix(ADDRESS)
    return await ask(clinic.app, "POST" if body else "GET", path, headers=headers, body=[body])


async def test_the_examples_of_the_page_work_in_their_order(clinic: Clinic) -> None:
    # given a clinic with a group, as the page has it
    await clinic.ask("PUT", "/v1/clinic", {"protocol": "group-cbt-depression-14", "policy": "gryesten-2023"})
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []})
    token, case_id = clinic.secret("ehr", "north"), "none"

    # when its commands are pasted
    answers: list[Answer] = []
    for command in examples():
        answers.append(await run(clinic, command, TOKEN=token, CASE=case_id))
        case_id = answers[0].json["case"]

    # then each is done
    assert [answer.status for answer in answers] == [201, 201, 201], [answer.body for answer in answers]


@pytest.mark.parametrize("name", ["response-submitted", "/fhir/QuestionnaireResponse"])
def test_there_is_an_example_of_each_way_to_answer(name: str) -> None:
    assert any(name in command for command in examples())
