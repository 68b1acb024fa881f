"""What schemathesis, which loads this, is told of the clinics that it asks, and what is noted of each answer.

What it makes of the description alone is refused sooner or later: no case has the id that it thinks of. So a part of
its requests is led on: to a case that is there, by a client that may, with a body that is good, or good but for one
field. How a request is led on follows from it, so that the same run can be had again.

    ONTRACK_FUZZ  a folder: `world.json` says who asks and what there is; `answers.ndjson` notes what was answered
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import schemathesis

from services.ingest.fhir.outgoing import split_response_id
from services.ingest.statements import STATEMENTS
from tests.support import fhir

Body = dict[str, Any]

FOLDER: Final = Path(os.environ["ONTRACK_FUZZ"])
WORLD: Final = orjson.loads((FOLDER / "world.json").read_bytes())
CLIENTS: Final = [tuple(each) for each in WORLD["clients"]]
"""Role, clinic and token; the first one is an administrator."""

CASES: Final[dict[str, list[str]]] = WORLD["cases"]
"""By clinic; those that are enrolled meanwhile come to them."""

REFS: Final[list[str]] = WORLD["refs"]
"""The definitions that are published, of every kind."""

DEFINED: Final = {"instrument", "policy", "protocol"}
"""Fields that name a definition."""

TRIED: Final = Counter[str]()
"""How often each operation was asked for."""

LED: Final = 5
"""Of so many requests for an operation one is led all the way."""

RESPONSES: Final[dict[str, list[str]]] = {}
"""By case: those that are recorded."""

NOW: Final = datetime.now(UTC)
ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
MARK: Final = "kanin"
"""Words that hold it, and numbers that begin with 77 and have ten digits, are what may not come back."""

_MARKED: Final = re.compile(rf"{MARK}[0-9a-f]{{8}}|(?<![0-9a-f])77[0-9]{{8}}(?![0-9a-f])")
_SHOWS: Final = re.compile(r"(GET|PUT) ")
"""What shows what was entered before: nothing that a patient has said."""


def marked(chance: Random) -> str:
    """Give a word that can be told from all others."""
    return f"{MARK}{chance.getrandbits(32):08x}"


def moment(chance: Random) -> str:
    """Give a moment of the last months: of a case that was closed just now, what happened then is still taken."""
    return (NOW - timedelta(minutes=chance.randrange(1, 200_000))).isoformat()


def session(chance: Random) -> int:
    """Give a session."""
    return chance.randrange(1_000)


def an_id(chance: Random) -> str:
    """Give an id of nothing."""
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def odsis(chance: Random) -> dict[str, int]:
    """Give answers."""
    return {item: chance.randrange(5) for item in ODSIS}


def response_of(case_id: str, chance: Random) -> str:
    """Give a response of a case, if it has one."""
    recorded = RESPONSES.get(case_id)
    return chance.choice(recorded) if recorded else an_id(chance)


Good = Callable[[Random, str], Body]
GOOD: Final[Mapping[str, Good]] = {
    "enrol": lambda chance, _: {
        "number": marked(chance),
        "protocol": chance.choice(("open-ended", "group-cbt-depression-14")),
        "policy": "gryesten-2023",
        "group": chance.choice((None, "mondays")),
    },
    "find": lambda chance, _: {"number": chance.choice(WORLD["numbers"])},
    "response-submitted": lambda chance, _: {
        "session": session(chance),
        "instrument": "odsis",
        "answers": odsis(chance),
        "comment": marked(chance),
        "answered_at": moment(chance),
    },
    "response-corrected": lambda chance, case_id: {
        "response": response_of(case_id, chance),
        "answers": odsis(chance),
        "reason": marked(chance),
        "by": "anna",
    },
    "response-withdrawn": lambda chance, case_id: {
        "response": response_of(case_id, chance),
        "reason": marked(chance),
        "by": "anna",
    },
    "problem-named": lambda chance, _: {"problem": chance.choice((1, 2)), "text": marked(chance), "at": moment(chance)},
    "needs-stated": lambda chance, _: {
        "seen_by": "patient",
        "needs": [],
        "text": marked(chance),
        "by": "patient",
        "at": moment(chance),
    },
    "session-scheduled": lambda chance, _: {
        "session": session(chance),
        "scheduled": moment(chance),
        "at": moment(chance),
    },
    "session-moved": lambda chance, _: {
        "session": session(chance),
        "scheduled": moment(chance),
        "at": moment(chance),
    },
    "session-cancelled": lambda chance, _: {
        "session": session(chance),
        "reason": marked(chance),
        "at": moment(chance),
    },
    "session-attended": lambda chance, _: {"session": session(chance), "at": moment(chance)},
    "session-absent": lambda chance, _: {
        "session": session(chance),
        "reason": marked(chance),
        "at": moment(chance),
    },
    "baseline-set": lambda chance, _: {
        "instrument": "odsis",
        "scale": "total",
        "value": str(chance.randrange(20)),
        "reason": marked(chance),
        "by": "anna",
        "at": moment(chance),
    },
    "policy-changed": lambda chance, _: {
        "policy": "gryesten-2023-window",
        "from_session": session(chance),
        "reason": marked(chance),
        "by": "anna",
        "at": moment(chance),
    },
    "case-transferred": lambda chance, _: {"group": "mondays", "reason": marked(chance), "at": moment(chance)},
    "case-closed": lambda chance, _: {"reason": "completed", "note": marked(chance)},
    "report-seen": lambda chance, _: {"report": an_id(chance), "by": "anna"},
    "report-discussed": lambda chance, _: {"report": an_id(chance), "by": "anna"},
    "action-chosen": lambda chance, _: {
        "report": an_id(chance),
        "action": "wait",
        "by": "anna",
        "patient_agreed": True,
        "note": marked(chance),
    },
    "report-closed": lambda chance, _: {"report": an_id(chance), "by": "anna", "note": marked(chance)},
    "notice-sent": lambda chance, _: {"notice": an_id(chance), "recipient": "anna"},
    "notice-failed": lambda chance, _: {
        "notice": an_id(chance),
        "recipient": "anna",
        "attempts": 1,
        "reason": "refused",
    },
    "fhir-answer": lambda chance, case_id: fhir.odsis(
        [chance.randrange(5) for _ in ODSIS], session=session(chance), case=case_id, authored=moment(chance)
    ),
    "put-clinic": lambda _, __: {"zone": "Europe/Copenhagen", "protocol": "open-ended", "policy": "gryesten-2023"},
    "put-groups": lambda chance, _: {"sessions": {str(session(chance)): moment(chance)}, "therapists": ["anna"]},
    "put-therapists": lambda _, __: {"address": "anna@north.example"},
}
OF_RESPONSES: Final = {"response-corrected", "response-withdrawn"}
MAILED: Final = ("notice-sent", "notice-failed")
STATED: Final = tuple(name for name in STATEMENTS if name not in MAILED)


def good_body(name: str, case_id: str, chance: Random) -> Body:
    """Give a body that can be taken."""
    if name != "facts":
        return GOOD[name](chance, case_id)
    stated = [chance.choice(STATED) for _ in range(chance.randrange(1, 4))]
    return {"facts": [{"case": case_id, "state": each, **GOOD[each](chance, case_id)} for each in stated]}


def spoiled(body: Body, made: object, chance: Random) -> Body:
    """Give a body of which one field is another: one that was made by chance, a reference, or something marked."""
    names = [*body, *(made if isinstance(made, dict) else ()), marked(chance)]
    name = chance.choice(names)
    others: list[object] = [
        *chance.sample(REFS, 4 if name in DEFINED else 1),
        marked(chance),
        7_700_000_000 + chance.randrange(100_000_000),
        [marked(chance)],
        {marked(chance): 7_700_000_000 + chance.randrange(100_000_000)},
    ]
    if isinstance(made, dict) and name in made:
        others += [made[name]] * len(others)
    return {**body, name: chance.choice(others)}


def is_fit(value: object) -> bool:
    """Tell whether a value can stand in a path for something that is there."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", value) is not None


@schemathesis.hook
def before_call(_: object, case: Any, __: object) -> None:
    """Let somebody ask, and lead the request on."""
    name = case.operation.definition.raw["operationId"]
    what = repr((name, case.method, case.path_parameters, sorted(case.headers.items()), case.body))
    chance = Random(hashlib.sha256(what.encode("utf-8", "replace")).hexdigest())
    is_a_story = case.meta is not None and case.meta.phase.name.value == "stateful"
    is_led = TRIED[name] % LED == 0
    TRIED[name] += 1
    _, clinic, token = _somebody(name, chance, is_sure=is_a_story or is_led)
    case.headers["Authorization"] = f"Bearer {token}"
    if is_led or ("Idempotency-Key" not in case.headers and chance.random() < 0.9):
        case.headers["Idempotency-Key"] = f"{marked(chance)}{TRIED.total()}"
    parameters = case.path_parameters
    if not is_a_story and is_fit(parameters.get("case")) and (is_led or chance.random() < 0.9):
        whose = clinic if clinic in CASES and chance.random() < 0.9 else chance.choice(list(CASES))
        answered = [each for each in CASES[whose] if each in RESPONSES] if name in OF_RESPONSES else []
        parameters["case"] = chance.choice(answered or CASES[whose])
    if is_fit(parameters.get("id")) and chance.random() < 0.7:
        parameters["id"] = _an_entry(name, chance)
    if name == "fhir-responses" and chance.random() < 0.7:
        case.query = {"subject": f"Patient/{chance.choice(CASES[CLIENTS[0][1]])}"}
    if name in GOOD or name == "facts":
        case_id = parameters.get("case") or chance.choice(CASES.get(clinic) or CASES[CLIENTS[0][1]])
        match 0 if is_led else chance.randrange(3):
            case 0:
                case.body = good_body(name, case_id, chance)
            case 1:
                case.body = spoiled(good_body(name, case_id, chance), case.body, chance)


def _somebody(name: str, chance: Random, *, is_sure: bool) -> tuple[str, str, str]:
    """Choose who asks: mostly somebody who may."""
    if is_sure or chance.random() < 0.7:
        may = [each for each in CLIENTS if (each[0] == "mailer") == (name in MAILED)]
        return may[0]
    return chance.choice(CLIENTS)


def _an_entry(name: str, chance: Random) -> str:
    """Choose something that is there, of the kind that an operation gives."""
    answered = [(case_id, each) for case_id, some in RESPONSES.items() for each in some]
    match name:
        case "fhir-questionnaire":
            return "odsis.1"
        case "fhir-response" if answered:
            return "".join(chance.choice(answered)).replace("-", "")
        case _:
            return "mondays"


def _recorded(name: str, response: Any) -> list[dict[str, str]]:
    """Give the facts that an answer says are recorded, each with its case."""
    if response.status_code != 201:
        return []
    if name == "fhir-answer":
        case_id, fact_id = split_response_id(response.headers["location"][0].rpartition("/")[2])
        return [{"case": case_id, "fact": fact_id}]
    said = orjson.loads(response.content)
    return list(said.get("facts", [said]))


_A_GROUP: Final = ("put-groups", 200)


@schemathesis.hook
def after_call(_: object, case: Any, response: Any) -> None:
    """Note what was answered."""
    name = case.operation.definition.raw["operationId"]
    recorded = _recorded(name, response)
    for each in recorded:
        if name == "enrol":
            clinic = next(clinic for _, clinic, token in CLIENTS if case.headers["Authorization"].endswith(token))
            CASES[clinic].append(each["case"])
        if name in ("response-submitted", "fhir-answer"):
            RESPONSES.setdefault(each["case"], []).append(each["fact"])
    noted = {
        "operation": name,
        "method": case.method,
        "status": response.status_code,
        "facts": [each["fact"] for each in recorded],
        "sessions": orjson.loads(response.content)["sessions"] if (name, response.status_code) == _A_GROUP else {},
    }
    with (FOLDER / "answers.ndjson").open("ab") as stream:
        stream.write(orjson.dumps(noted) + b"\n")


@schemathesis.check
def nothing_said_comes_back(_: object, response: Any, case: Any) -> None:
    """Find in an answer what was said in the request."""
    if _SHOWS.match(f"{case.method} ") and response.status_code < 400:
        return
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    found = _MARKED.findall(f"{headers}\n{response.text}")
    assert not found, f"{', '.join(found)} came back"
