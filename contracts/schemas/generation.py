"""What the schemas say. They are made from the models that read the wire, so they cannot say anything else."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, cast

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema, DictSchema

from contracts.codec import Envelope, schema_name
from contracts.definitions.catalogue import KINDS
from contracts.events.event import Data
from contracts.topics import CASES, TOPICS, Topic

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DECIMAL: Final = r"^-?[0-9]+(\.[0-9]+)?(E[+-][0-9]+)?$"

_SEALED_OR_OPEN: Final = [
    {"required": ["data_base64", "keyid"], "properties": {"data": False}},
    {"required": ["data"], "properties": {"data_base64": False, "keyid": False}},
]


class _OfEvents(GenerateJsonSchema):
    """Events as they stand on the wire: a decimal is a string, so that its digits stay as they are.

    What is read is described, not what is written: a field with a default may be absent, though OnTrack writes it.
    """

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:  # noqa: ARG002 - no event limits a decimal
        """Describe a decimal."""
        return {"type": "string", "pattern": DECIMAL}

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        """Describe names with values; a name that is not of its pattern is refused."""
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - the signature is pydantic's
        """Leave out titles that only repeat the name of their field."""
        return False


class _OfDefinitions(_OfEvents):
    """Definitions as people write them: a decimal may also be a whole number, never a float."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        """Describe a decimal; only its whole numbers can be held to its limits."""
        limits = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
        given = cast("Mapping[str, Any]", schema)
        whole = {keyword: int(Decimal(given[limit])) for limit, keyword in limits.items() if limit in given}
        return {"anyOf": [{"type": "integer", **whole}, {"type": "string", "pattern": DECIMAL}]}


_ENVELOPE: Final = TypeAdapter(Envelope).json_schema(schema_generator=_OfEvents)


def schemas() -> dict[str, bytes]:
    """Give every schema, by the path of its file below this package."""
    events = {kind for topic in TOPICS.values() for kind in topic.events}
    found: dict[str, JsonSchemaValue] = {_file_of(kind): _of_event(kind) for kind in events}
    found |= {f"topics/{topic.name}.json": _of_topic(topic) for topic in TOPICS.values()}
    found |= {f"definitions/{kind}.json": _of_definition(kind) for kind in KINDS}
    return {path: _written(found[path]) for path in sorted(found)}


def _file_of(kind: type[Data]) -> str:
    return f"events/{kind.type()}.json"


def _of_event(kind: type[Data]) -> JsonSchemaValue:
    return _headed(schema_name(kind.type()), kind.model_json_schema(schema_generator=_OfEvents))


def _of_definition(kind: str) -> JsonSchemaValue:
    return _headed(f"urn:ontrack:definition:{kind}", KINDS[kind].model_json_schema(schema_generator=_OfDefinitions))


def _headed(name: str, schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"$schema": DIALECT, "$id": name, **schema}


def _of_topic(topic: Topic) -> JsonSchemaValue:
    head = {"$schema": DIALECT, "title": topic.name, "description": f"{topic.name}: {topic.says}. {_kept(topic)}"}
    if not topic.events:
        return {**head, "not": {}}
    properties, required = dict(_ENVELOPE["properties"]), list(_ENVELOPE["required"])
    if not topic.of_cases:
        del properties["data_base64"], properties["keyid"]
        required.append("data")
    elif topic is CASES:
        properties |= {"sequence": False, "sequencetype": False}
    else:
        required += ["sequence", "sequencetype"]
    return {
        **head,
        "type": "object",
        "properties": properties,
        "required": sorted(required),
        "discriminator": {"propertyName": "type"},
        "oneOf": [_alternative(kind) for kind in sorted(topic.events, key=lambda kind: kind.type())],
        **({"allOf": [{"oneOf": _SEALED_OR_OPEN}]} if topic.of_cases else {}),
    }


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
            "data": {"$ref": f"../{_file_of(kind)}"},
        }
    }


def _written(schema: JsonSchemaValue) -> bytes:
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
