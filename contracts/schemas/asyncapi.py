"""The AsyncAPI document: how every topic stands on Kafka, what stands on it, and which services send and receive it.

What an event says is not repeated here: the document refers to the schema of its type.
"""

import inspect
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from contracts.codec import schema_name
from contracts.events.event import Data
from contracts.schemas.models import envelope_of, file_of
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, SEALS, TOPICS, Topic

Part = dict[str, Any]

BINDING: Final = "0.5.0"
"""The version of the Kafka binding in which the document speaks."""

KEPT_FOR_EVER: Final = {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1}

_ABOUT: Final = (
    "Routine outcome monitoring as a log of facts and a chain of stages over it. The operations are those of its "
    "services, and each is tagged with the service that does it. Where the brokers are, and what stands there before "
    "the name of every topic, is set for each region.\n\n"
    "The value of a record is one CloudEvents 1.0 event in structured JSON; it has no headers. The data of the events "
    "of cases is sealed. The schema in `x-sealed`, which `dataschema` names, describes what is inside. That a case was "
    "erased stands open beside its seal."
)

_SEALED: Final = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "The data, sealed with AES-SIV (RFC 5297) under the key of the case, which `keyid` names.",
}

_KEYS: Final = {
    DEFINITIONS: {"const": "log"},
    SEALS: {"const": "log"},
    DEAD_LETTERS: {"description": "The key of the record that could not be read."},
}


def document() -> Part:
    """Describe all topics in AsyncAPI 3.0.0."""
    used = [topic for topic in TOPICS.values() if topic.events]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "OnTrack", "version": version("ontrack"), "description": _ABOUT},
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": dict(operation for topic in used for operation in _operations(topic)),
        "components": {
            "schemas": {topic.name: _envelope(topic) for topic in used},
            "messageBindings": {topic.name: _bound(key=_key(topic)) for topic in used},
            "correlationIds": {
                "fact": {
                    "description": "The id of the fact that the event follows from; on what a log says about itself, "
                    "the id of the log.",
                    "location": "$message.payload#/correlationid",
                }
            },
        },
    }


def _channel(topic: Topic) -> Part:
    return {
        "address": topic.name,
        "title": topic.name,
        "summary": f"{topic.says[0].upper()}{topic.says[1:]}.",
        "description": _description(topic),
        "bindings": _bound(partitions=topic.partitions, topicConfiguration=KEPT_FOR_EVER),
        "messages": {kind.type(): _message(topic, kind) for kind in topic.events},
    }


def _description(topic: Topic) -> str:
    if not topic.events:
        return (
            "The name is reserved and the topic is made, but no event of it is defined, and nothing is written to it."
        )
    if not topic.of_cases:
        return "The data stands open."
    sealed = "The key is the id of the case; its data is sealed under the key of the case."
    if topic is CASES:
        return f"{sealed} A fact can stand here more than once."
    return f"{sealed} Events of a case are numbered; the same number again is the same event again."


def _message(topic: Topic, kind: type[Data]) -> Part:
    name = kind.type()
    schema = {"$ref": file_of(kind)}
    said: Part = {"data": schema}
    if topic.of_cases:
        said = {"data": schema if kind.stands_open else False, "data_base64": {"x-sealed": schema}}
    own = {"properties": {"type": {"const": name}, "dataschema": {"const": schema_name(name)}, **said}}
    return {
        "name": name,
        "title": kind.__name__,
        "summary": inspect.cleandoc(kind.__doc__ or "").splitlines()[0],
        "correlationId": {"$ref": "#/components/correlationIds/fact"},
        "bindings": {"$ref": f"#/components/messageBindings/{topic.name}"},
        "payload": {"allOf": [{"$ref": f"#/components/schemas/{topic.name}"}, own]},
    }


def _envelope(topic: Topic) -> Part:
    """Describe what all records of a topic have in common; unlike those of an export, they are never opened."""
    properties, required = envelope_of(topic)
    if topic.of_cases:
        properties |= {"data_base64": _SEALED}
        required = sorted([*required, "data_base64", "keyid"])
    return {"title": f"A record of {topic.name}", "type": "object", "properties": properties, "required": required}


def _key(topic: Topic) -> Part:
    if topic.of_cases:
        properties, _ = envelope_of(topic)
        return {**properties["subject"], "description": "The id of the case, as in `subject`."}
    return {"type": "string", **_KEYS[topic]}


def _operations(topic: Topic) -> Iterator[tuple[str, Part]]:
    for action, services in (("send", topic.written_by), ("receive", topic.read_by)):
        for service in services:
            yield (
                f"{service}-{action}s-{topic.name}",
                {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{topic.name}"},
                    "title": f"{service} {action}s {topic.name}",
                    "tags": [{"name": service}],
                },
            )


def _bound(**kafka: object) -> Part:
    return {"kafka": {**kafka, "bindingVersion": BINDING}}
