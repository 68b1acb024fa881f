"""The description of the API (OpenAPI 3.1), made from the table of its operations and the models that read it.

`python -m services.ingest.http.openapi` writes it; with `--check` it only tells whether the file is in step.
"""

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema

from contracts.events.event import Data
from contracts.schemas.models import OfEvents
from services.ingest.fhir import terms
from services.ingest.http import problems
from services.ingest.http.api import DESCRIPTION
from services.ingest.http.bodies import BYTES_AT_MOST, DEEP_AT_MOST, ENTRIES_AT_MOST, JSON
from services.ingest.http.operations import BATCH_AT_MOST, OPERATIONS, Operation, OperationOutcome
from services.ingest.http.problems import MEDIA_TYPE, Kind
from services.ingest.statements import BY_THE_CREDENTIAL, STATEMENTS, Statement
from services.runtime.roster.port import Entry

_ALWAYS: Final = (problems.NO_CREDENTIAL, problems.NOT_ALLOWED, problems.BUSY, problems.BROKEN)
_OF_BODIES: Final = (problems.TOO_LARGE, problems.TOO_SLOW, problems.MEDIA, problems.NOT_JSON, problems.INVALID)
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Tells a repetition from another request: the same key with the same body is recorded once, and "
    "answered alike. Needed unless the body gives the event's `id`. It says nothing of the patient: take a random one.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
_NAME: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"}
_RESOURCE_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}
_CASE: Final = "The id that enrolling the patient gave, not the clinic's own number."
_REFERENCES: Final = ("protocol", "policy")
_TELLS_A_CASE: Final = ("enrol", "find")
_NAMED: Final = {"type": "string", "maxLength": 160, "description": "An id, `id@version` or the full reference."}
_HEADERS: Final = {
    "Location": {"description": "Where what was recorded is.", "schema": {"type": "string", "format": "uri"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How a credential is sent.", "schema": {"type": "string"}},
}
_PROBLEM: Final = {
    "type": "object",
    "description": "Why a request was not done (RFC 9457). It never repeats a value of the request.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "expected"],
                "properties": {
                    "pointer": {"type": "string", "description": "Where in the body (RFC 6901)."},
                    "expected": {"type": "string"},
                },
            },
        },
    },
}


class _OfRequests(OfEvents):
    """Facts as clients state them: a decimal may be a number too."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        """Describe a decimal."""
        return {"anyOf": [{"type": "number"}, super().decimal_schema(schema)]}


def document() -> dict[str, Any]:
    """Describe the API."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OnTrack ingest",
            "version": version("ontrack"),
            "description": "Enrol cases, state facts about them, and ask what a patient is asked for. A request is "
            f"answered when its facts are safely recorded. A body has at most {BYTES_AT_MOST:,} bytes, and at most "
            f"{DEEP_AT_MOST} objects and lists within one another, with {ENTRIES_AT_MOST:,} entries each. No "
            "answer is for a cache to keep (`Cache-Control: no-store`).",
        },
        "security": [{"token": []}],
        "paths": dict(paths),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    """Describe an operation; the schemas that it refers to are added."""
    has_key = problems.KEY_EXPECTED in operation.kinds
    id_schema = _RESOURCE_ID if operation.is_fhir else _NAME
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": id_schema}
        | ({"description": _CASE} if name == "case" else {})
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in operation.query]
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.does,
        "description": f"Roles: {', '.join(operation.roles)}.",
        "parameters": [*parameters, *([_KEY] if has_key else [])],
        "responses": _responses(operation, schemas),
    }
    if operation.method in ("POST", "PUT"):
        schema = _body(operation, schemas)
        media_types = (terms.MEDIA_TYPE, JSON) if operation.is_fhir else (JSON,)
        found["requestBody"] = {"required": True, "content": {each: {"schema": schema} for each in media_types}}
    return found


def _body(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if operation.name == "facts":
        return _batch(schemas)
    statement = STATEMENTS.get(operation.name)
    assert operation.body is not None  # noqa: S101 - every operation that takes something says what
    if statement is not None:
        return _added(statement.fact.__name__, _statement(statement, schemas), schemas)
    schema = _schema(operation.body, schemas)
    if issubclass(operation.body, Entry):
        name = f"{operation.body.__name__}Said"
        schema = _without(schema, ("clinic", "id"))
        named = {each: _NAMED | {"type": ["string", "null"]} for each in schema["properties"] if each in _REFERENCES}
        return _added(name, {**schema, "properties": {**schema["properties"], **named}}, schemas)
    return _added(operation.body.__name__, schema, schemas)


def _statement(statement: Statement, schemas: dict[str, Any]) -> dict[str, Any]:
    """Describe what a client states: the fact, without what the credential says, and with when and which."""
    schema = _without(_schema(statement.fact, schemas, _OfRequests), BY_THE_CREDENTIAL)
    more: dict[str, Any] = {"id": {"type": ["string", "null"], "format": "uuid", "description": "The event's id."}}
    if statement.at is None:
        said = "When it happened; now, if not said."
        more["at"] = {"type": ["string", "null"], "format": "date-time", "description": said}
    more |= dict.fromkeys(statement.refers, _NAMED)
    return {**schema, "properties": {**schema["properties"], **more}}


def _batch(schemas: dict[str, Any]) -> dict[str, Any]:
    items = []
    for name, statement in STATEMENTS.items():
        schema = _statement(statement, schemas)
        fields = {"case": _NAME, "state": {"const": name}}
        items.append(
            {
                **schema,
                "properties": {**fields, **schema["properties"]},
                "required": ["case", "state", *schema.get("required", ())],
            }
        )
    facts = {"type": "array", "minItems": 1, "maxItems": BATCH_AT_MOST, "items": {"oneOf": items}}
    batch = {"type": "object", "required": ["facts"], "properties": {"facts": facts}, "additionalProperties": False}
    return _added("Batch", batch, schemas)


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        media_type = terms.MEDIA_TYPE if operation.is_fhir else JSON
        answer["content"] = {media_type: {"schema": _answered(operation, schemas)}}
    elif operation.status is not HTTPStatus.NO_CONTENT:
        answer["content"] = {JSON: {"schema": {"type": "object"}}}
    if operation.locates:
        answer["headers"] = {"Location": _HEADERS["Location"]}
    if operation.name in _TELLS_A_CASE:
        answer["links"] = {each.name: _with_its_case(each) for each in OPERATIONS if "/cases/{case}" in each.path}
    kinds: list[Kind] = [*_ALWAYS, *operation.kinds]
    if operation.method in ("POST", "PUT"):
        kinds += _OF_BODIES
    if "{id}" in operation.path:
        kinds.append(problems.NOT_FOUND)
    told = _added("Problem", _PROBLEM, schemas)
    if operation.is_fhir:
        told = _added("OperationOutcome", _schema(OperationOutcome, schemas), schemas)
    content = {terms.MEDIA_TYPE if operation.is_fhir else MEDIA_TYPE: {"schema": told}}
    return {str(int(operation.status)): answer, **_refusals(kinds, content)}


def _with_its_case(operation: Operation) -> dict[str, Any]:
    """Describe what can be asked of the case that an answer tells."""
    return {"operationId": operation.name, "parameters": {"case": "$response.body#/case"}}


def _answered(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    assert operation.answer is not None  # noqa: S101 - asked by whoever calls
    schema = _schema(operation.answer, schemas)
    if issubclass(operation.answer, Entry):
        schema = _without(schema, ("clinic",))
    found = _added(operation.answer.__name__, schema, schemas)
    if operation.name.startswith("list-"):
        name = operation.name.removeprefix("list-")
        return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": found}}}
    return found


def _refusals(kinds: Iterable[Kind], content: dict[str, Any]) -> dict[str, Any]:
    """Describe the answers of problems, by status: each names the codes that it can have."""
    by_status: dict[int, dict[str, Kind]] = defaultdict(dict)
    for kind in kinds:
        by_status[int(kind.status)][kind.code] = kind
    found: dict[str, Any] = {}
    for status, of_status in sorted(by_status.items()):
        told = "; ".join(f"`{kind.code}`: {kind.title}" for kind in of_status.values())
        found[str(status)] = {"description": told, "content": content}
        if names := {name for kind in of_status.values() for name in problems.HEADERS.get(kind, ())}:
            found[str(status)]["headers"] = {name: _HEADERS[name] for name in names}
    return found


def _schema(
    model: type[BaseModel] | type[Data], schemas: dict[str, Any], generator: type[OfEvents] = OfEvents
) -> dict[str, Any]:
    """Describe a model; what it refers to is added."""
    schema = model.model_json_schema(schema_generator=generator, ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    return schema


def _without(schema: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {
        **schema,
        "properties": {name: field for name, field in schema["properties"].items() if name not in names},
        "required": [name for name in schema.get("required", ()) if name not in names],
    }


def _added(name: str, schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    schemas[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


def written() -> bytes:
    """Give the file."""
    return json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def main(arguments: Sequence[str] | None = None, file: Path = DESCRIPTION) -> int:
    """Write or check; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.ingest.http.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is not in step")
    if not parser.parse_args(arguments).check:
        file.write_bytes(written())
        return 0
    if file.exists() and file.read_bytes() == written():
        return 0
    sys.stderr.write(f"{file} is not in step with the API: run make schemas.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
