"""The tables that whoever runs a service needs, as the code has them.

`python -m tests.docs.operation_tables` prints them, for whoever has to bring a page into step.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from services.auditor.settings import AuditorSettings
from services.ingest.http.openapi import document
from services.ingest.http.operations import OPERATIONS, Operation
from services.ingest.http.problems import KINDS
from services.ingest.settings import IngestSettings
from services.mailer.settings import MailerSettings, MailSettings
from services.not_detector.settings import NotDetectorSettings
from services.notifier.settings import NotifierSettings
from services.runtime.metrics import METRICS
from services.runtime.settings import PREFIX, RegionSettings, ServiceSettings, expected
from services.scoring.settings import ScoringSettings
from tests.docs.markdown import Row, drawn

SERVICES: Final[Mapping[str, type[RegionSettings]]] = {
    "ingest": IngestSettings,
    "scoring": ScoringSettings,
    "not-detector": NotDetectorSettings,
    "notifier": NotifierSettings,
    "mailer": MailerSettings,
    "auditor": AuditorSettings,
}

ALWAYS: Final = ("at", "id")
"""What every body that states a fact can have."""


def setting_rows() -> Iterator[Row]:
    """Say what each setting is, in the order of the code; what one service has alone comes last."""
    seen: set[str] = set()
    kinds: dict[str, type[RegionSettings]] = {
        "every service and command": RegionSettings,
        "every service": ServiceSettings,
        **SERVICES,
    }
    for readers, kind in kinds.items():
        for name, field in kind.model_fields.items():
            if name not in seen:
                seen.add(name)
                yield {
                    "setting": f"`{PREFIX}{name.upper()}`",
                    "what it says": field.description or "",
                    "what is expected": expected(kind, name).removesuffix(","),
                    "default": "has to be set" if field.is_required() else _shown(field.default),
                    "read by": readers,
                }


def mail_setting_rows() -> Iterator[Row]:
    """Say what a clinic in one process is told of mail: all that it can be told."""
    own = {f"`{PREFIX}{name.upper()}`" for name in MailSettings.model_fields}
    for row in setting_rows():
        if row["setting"] in own:
            yield {name: text for name, text in row.items() if name != "read by"}


def operation_rows() -> Iterator[Row]:
    """Say what each operation of the API does, what its body has, and for whom it is."""
    described = document()
    for each in OPERATIONS:
        yield {
            "operation": f"`{each.method} {each.path}`",
            "does": each.does,
            "body": _body(each, described),
            "roles": ", ".join(each.roles),
        }


def _body(operation: Operation, described: Mapping[str, Any]) -> str:
    """Name the fields of a body: those that it has to have, then those that it can have, which stand in brackets."""
    request = described["paths"][operation.path][operation.method.lower()].get("requestBody")
    if request is None:
        return ""
    if operation.is_fhir:
        return "[the resource](#fhir-r4)"
    (content,) = request["content"].values()
    schema = described["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    needed = [name for name in schema["properties"] if name in schema.get("required", ())]
    more = [name for name in schema["properties"] if name not in {*needed, *ALWAYS}]
    return " ".join([*(f"`{name}`" for name in needed), *(f"[`{name}`]" for name in more)])


def problem_rows() -> Iterator[Row]:
    """Say what each problem is that the API tells, and what to do."""
    for kind in KINDS:
        yield {
            "code": f"`{kind.code}`",
            "status": str(int(kind.status)),
            "says": kind.title,
            "what to do": kind.means,
        }


def metric_rows() -> Iterator[Row]:
    """Say what each metric is."""
    for name, metric in METRICS.items():
        yield {
            "metric": f"`{name}`",
            "kind": metric.kind,
            "told apart by": ", ".join(f"`{label}`" for label in ("stage", *metric.labels)),
            "what it says": metric.says,
        }


def _shown(default: object) -> str:
    match default:
        case None | "":
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
        case str() | int() | Path():
            return f"`{default}`"
        case _:
            raise TypeError(default)


if __name__ == "__main__":
    for rows in (setting_rows, mail_setting_rows, metric_rows, operation_rows, problem_rows):
        found = list(rows())
        print(drawn(list(found[0]), found), end="\n\n")
