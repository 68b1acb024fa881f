"""A small check of a value against a schema: the keywords that the schemas use, and no others."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts.schemas.__main__ import HERE


@dataclass(frozen=True)
class Schema:
    """A schema, the document it stands in, and the file that its references start from."""

    says: Any
    document: Any
    file: str

    @classmethod
    def of(cls, file: str) -> "Schema":
        document = json.loads((HERE / file).read_bytes())
        return cls(document, document, file)

    def part(self, says: object) -> "Schema":
        return Schema(says, self.document, self.file)

    def referred(self, reference: str) -> "Schema":
        """Follow a reference: to a file, to a place in this document, or to a place in a file."""
        file, _, pointer = reference.partition("#")
        found = (
            self if not file else Schema.of(((HERE / self.file).parent / file).resolve().relative_to(HERE).as_posix())
        )
        says = found.document
        for step in pointer.split("/")[1:]:
            says = says[step.replace("~1", "/").replace("~0", "~")]
        return found.part(says)


TYPES: Final[Mapping[str, Any]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
}
TELLS_NOTHING: Final = {
    "$schema",
    "$id",
    "$defs",
    "title",
    "description",
    "default",
    "discriminator",
    "contentEncoding",
    "x-sealed",
}


def faults(schema: Schema, value: Any, at: str = "") -> list[str]:
    """Say where a value is not as a schema describes it."""
    if isinstance(schema.says, bool):
        return [] if schema.says else [f"{at}: is not expected"]
    return [
        fault
        for keyword, limit in schema.says.items()
        if keyword not in TELLS_NOTHING
        for fault in found_by(keyword, limit, schema, value, at)
    ]


def found_by(keyword: str, limit: Any, schema: Schema, value: Any, at: str) -> list[str]:
    match keyword:
        case "$ref":
            return faults(schema.referred(limit), value, at)
        case "allOf":
            return [fault for each in limit for fault in faults(schema.part(each), value, at)]
        case "anyOf" | "oneOf":
            fitting = sum(1 for each in limit if not faults(schema.part(each), value, at))
            return [] if fitting == 1 or (fitting and keyword == "anyOf") else [f"{at}: {keyword}: {fitting} fit"]
        case "not":
            return [] if faults(schema.part(limit), value, at) else [f"{at}: not"]
        case "properties" | "patternProperties" | "additionalProperties" | "propertyNames" | "required":
            return list(of_object(keyword, limit, schema, value, at)) if isinstance(value, dict) else []
        case "items":
            parts = enumerate(value) if isinstance(value, list) else ()
            return [fault for place, each in parts for fault in faults(schema.part(limit), each, f"{at}/{place}")]
        case _:
            return [] if KEYWORDS[keyword](value, limit) else [f"{at}: {keyword} {limit}"]


def of_object(keyword: str, limit: Any, schema: Schema, value: dict[str, Any], at: str) -> Iterator[str]:
    known, patterns = schema.says.get("properties", {}), schema.says.get("patternProperties", {})
    for name, each in value.items():
        fitting = [pattern for pattern in patterns if re.search(pattern, name)]
        if keyword == "properties" and name in known:
            yield from faults(schema.part(known[name]), each, f"{at}/{name}")
        elif keyword == "patternProperties":
            yield from (fault for p in fitting for fault in faults(schema.part(patterns[p]), each, f"{at}/{name}"))
        elif keyword == "additionalProperties" and name not in known and not fitting:
            yield from faults(schema.part(limit), each, f"{at}/{name}")
        elif keyword == "propertyNames":
            yield from faults(schema.part(limit), name, f"{at}/{name}")
    if keyword == "required":
        yield from (f"{at}/{name}: is missing" for name in limit if name not in value)


def is_number(value: object) -> bool:
    return type(value) is int


def is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


KEYWORDS: Final[Mapping[str, Any]] = {
    "type": lambda value, limit: TYPES[limit](value),
    "const": lambda value, limit: value == limit,
    "enum": lambda value, limit: value in limit,
    "pattern": lambda value, limit: not isinstance(value, str) or re.search(limit, value),
    "format": lambda value, limit: not isinstance(value, str) or (limit == "date-time" and is_moment(value)),
    "minLength": lambda value, limit: not isinstance(value, str) or len(value) >= limit,
    "maxLength": lambda value, limit: not isinstance(value, str) or len(value) <= limit,
    "minItems": lambda value, limit: not isinstance(value, list) or len(value) >= limit,
    "maxItems": lambda value, limit: not isinstance(value, list) or len(value) <= limit,
    "minimum": lambda value, limit: not is_number(value) or value >= limit,
    "maximum": lambda value, limit: not is_number(value) or value <= limit,
    "exclusiveMinimum": lambda value, limit: not is_number(value) or value > limit,
    "exclusiveMaximum": lambda value, limit: not is_number(value) or value < limit,
}
