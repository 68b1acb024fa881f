"""How the models that read the wire describe themselves: what an event says, and the envelope around it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, cast

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema, DictSchema

from contracts.codec import Envelope
from contracts.events.event import Data
from contracts.topics import CASES, Topic

DECIMAL: Final = r"^-?[0-9]+(\.[0-9]+)?(E[+-][0-9]+)?$"


class OfEvents(GenerateJsonSchema):
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


class OfDefinitions(OfEvents):
    """Definitions as people write them: a decimal may also be a whole number, never a float."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        """Describe a decimal; only its whole numbers can be held to its limits."""
        limits = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
        given = cast("Mapping[str, Any]", schema)
        whole = {keyword: int(Decimal(given[limit])) for limit, keyword in limits.items() if limit in given}
        return {"anyOf": [{"type": "integer", **whole}, {"type": "string", "pattern": DECIMAL}]}


_ENVELOPE: Final = TypeAdapter(Envelope).json_schema(schema_generator=OfEvents)


def envelope_of(topic: Topic) -> tuple[dict[str, Any], list[str]]:
    """Give the fields that a record of a topic can have, and those that it must have, sealed or opened."""
    properties, required = dict(_ENVELOPE["properties"]), list(_ENVELOPE["required"])
    if not topic.of_cases:
        del properties["data_base64"], properties["keyid"]
        required.append("data")
    elif topic is CASES:
        properties |= {"sequence": False, "sequencetype": False}
    else:
        required += ["sequence", "sequencetype"]
    return properties, sorted(required)


def file_of(kind: type[Data]) -> str:
    """Give the path, below the schemas, of what an event type says."""
    return f"events/{kind.type()}.json"
