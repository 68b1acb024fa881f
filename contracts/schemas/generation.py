"""What the schemas say. They are made from the models that read the wire, so they cannot say anything else."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic.json_schema import JsonSchemaValue

from contracts.codec import schema_name
from contracts.definitions.catalogue import KINDS
from contracts.events.event import Data
from contracts.schemas.asyncapi import document
from contracts.schemas.models import OfDefinitions, OfEvents, envelope_of, file_of
from contracts.topics import TOPICS, Topic

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_SEALED: Final = {"required": ["data_base64", "keyid"], "properties": {"data": False}}
_OPEN: Final = {"required": ["data"], "properties": {"data_base64": False, "keyid": False}}


def schemas() -> dict[str, bytes]:
    """Give every schema, and the AsyncAPI document that refers to them, by the path of its file below this package."""
    events = {kind for topic in TOPICS.values() for kind in topic.events}
    found: dict[str, dict[str, Any]] = {file_of(kind): _of_event(kind) for kind in events}
    found |= {f"topics/{topic.name}.json": _of_topic(topic) for topic in TOPICS.values()}
    found |= {f"definitions/{kind}.json": _of_definition(kind) for kind in KINDS}
    found["asyncapi.json"] = document()
    return {path: _written(found[path]) for path in sorted(found)}


def _of_event(kind: type[Data]) -> JsonSchemaValue:
    return _headed(schema_name(kind.type()), kind.model_json_schema(schema_generator=OfEvents))


def _of_definition(kind: str) -> JsonSchemaValue:
    return _headed(f"urn:ontrack:definition:{kind}", KINDS[kind].model_json_schema(schema_generator=OfDefinitions))


def _headed(name: str, schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"$schema": DIALECT, "$id": name, **schema}


def _of_topic(topic: Topic) -> JsonSchemaValue:
    head = {"$schema": DIALECT, "title": topic.name, "description": f"{topic.name}: {topic.says}. {_kept(topic)}"}
    if not topic.events:
        return {**head, "not": {}}
    properties, required = envelope_of(topic)
    return {
        **head,
        "type": "object",
        "properties": properties,
        "required": required,
        "discriminator": {"propertyName": "type"},
        "oneOf": [_alternative(kind) for kind in sorted(topic.events, key=lambda kind: kind.type())],
        **({"allOf": [{"oneOf": list(_sealed_or_open(topic))}]} if topic.of_cases else {}),
    }


def _sealed_or_open(topic: Topic) -> Iterator[JsonSchemaValue]:
    """Give the ways in which the data of an event of a case can stand there."""
    yield _SEALED
    yield _OPEN
    both = sorted(kind.type() for kind in topic.events if kind.stands_open)
    if both:
        yield {"required": ["data", "data_base64", "keyid"], "properties": {"type": {"enum": both}}}


def _kept(topic: Topic) -> str:
    if not topic.events:
        return "The name is reserved: no event of it is defined, so nothing fits this schema."
    if topic.of_cases:
        return "`data_base64` holds the data of the event's type, sealed; in an opened export it stands in `data`."
    return "The data stands open."


def _alternative(kind: type[Data]) -> JsonSchemaValue:
    name = kind.type()
    return {
        "properties": {
            "type": {"const": name},
            "dataschema": {"const": schema_name(name)},
            "data": {"$ref": f"../{file_of(kind)}"},
        }
    }


def _written(schema: dict[str, Any]) -> bytes:
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
