"""Who is let in at the brokers, and may do what there: users with a password, and rights to topics and groups.

The library that speaks to the brokers has no words for it, so what is sent is described here.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactBytes, CompactString, Int8, Int16, Int32, Schema, TaggedFields

from services.runtime.brokers import Brokers, why_away
from services.runtime.log.port import LogUnavailable

EVERY: Final = "*"
"""The name of a right to everything of its kind."""

THE_CLUSTER: Final = "kafka-cluster"
"""The name of the only cluster there is."""

_SCRAM_SHA_512: Final = 2
_ITERATIONS: Final = 8_192
_SALT_BYTES: Final = 24
_LITERAL: Final = 3
_ALLOW: Final = 3


class Kind(IntEnum):
    """What a right is a right to."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4


class Act(IntEnum):
    """What a right allows. Reading and writing allow describing too."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


@dataclass(frozen=True, slots=True)
class Right:
    """A user may do something with a topic or a group, named as it is in the cluster, or with the `THE_CLUSTER`."""

    user: str
    act: Act
    kind: Kind
    name: str


class _UsersChanged(Response):  # type: ignore[misc] # the library ships its types without saying so
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _UsersChange(RequestStruct):  # type: ignore[misc] # the library ships its types without saying so
    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _UsersChanged
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ChangeUsers(Request[_UsersChange]):  # type: ignore[misc] # the library ships its types without saying so
    API_KEY: ClassVar[int] = _UsersChange.API_KEY

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    def build(self, request_struct_class: type[_UsersChange]) -> _UsersChange:
        return request_struct_class([], [_salted(*each) for each in self._passwords.items()], {})


class _Allow(Request[CreateAclsRequest_v1]):  # type: ignore[misc] # the library ships its types without saying so
    API_KEY: ClassVar[int] = CreateAclsRequest_v1.API_KEY

    def __init__(self, rights: Iterable[Right]) -> None:
        self._rights = rights

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(
            [(each.kind, each.name, _LITERAL, f"User:{each.user}", EVERY, each.act, _ALLOW) for each in self._rights]
        )


async def let_in(brokers: Brokers, passwords: Mapping[str, str], rights: Sequence[Right]) -> None:
    """Let users in with these passwords from now on, and give them rights besides those that they have.

    Raises LogUnavailable.
    """
    async with _asking(brokers) as client:
        changed = await client.send(client.get_random_node(), _ChangeUsers(passwords))
        _require_done((code, message) for _, code, message, _ in changed.results)
        allowed = await client.send(client.get_random_node(), _Allow(rights))
        _require_done(allowed.creation_responses)


@asynccontextmanager
async def _asking(brokers: Brokers) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(**brokers.arguments())
    try:
        await client.bootstrap()
        yield client
    except (KafkaError, TimeoutError, OSError) as failed:
        why = await why_away(brokers)
        said = f"the brokers are away: {why}" if why else f"the brokers let nobody be let in ({type(failed).__name__})"
        raise LogUnavailable(said) from None
    finally:
        await client.close()


def _require_done(results: Iterable[tuple[int, str | None]]) -> None:
    for code, _ in results:
        if code:
            raise for_code(code)


def _salted(user: str, password: str) -> tuple[Any, ...]:
    """Give what the brokers keep of a password; the password itself is not sent."""
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return user, _SCRAM_SHA_512, _ITERATIONS, salt, salted, {}
