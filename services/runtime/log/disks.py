"""How full the disk of a broker is.

The library that speaks to the brokers has no words for it, so what is sent is described here.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from services.runtime.brokers import Brokers, asked
from services.runtime.log.port import LogUnavailable

_NOTHING_OF_TOPICS: Final[list[object]] = []


@dataclass(frozen=True, slots=True)
class BrokerDisk:
    """What a broker tells of the fullest of its disks.

    room: how many bytes are free, and how many there are; None if it does not say
    is_too_old: whether it does not say so because its Kafka cannot
    """

    room: tuple[int, int] | None = None
    is_too_old: bool = False


class _DisksTold(Response):  # type: ignore[misc] # the library ships its types without saying so
    API_KEY = 35
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "results",
            CompactArray(
                ("error_code", Int16),
                ("log_dir", CompactString("utf-8")),
                (
                    "topics",
                    CompactArray(
                        ("name", CompactString("utf-8")),
                        (
                            "partitions",
                            CompactArray(
                                ("partition_index", Int32),
                                ("partition_size", Int64),
                                ("offset_lag", Int64),
                                ("is_future_key", Boolean),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("total_bytes", Int64),
                ("usable_bytes", Int64),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _TellDisks(RequestStruct):  # type: ignore[misc] # the library ships its types without saying so
    API_KEY = 35
    API_VERSION = 4
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DisksTold
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
            ),
        ),
        ("tags", TaggedFields),
    )


class _AskForDisks(Request[_TellDisks]):  # type: ignore[misc] # the library ships its types without saying so
    API_KEY: ClassVar[int] = _TellDisks.API_KEY

    def build(self, request_struct_class: type[_TellDisks]) -> _TellDisks:
        return request_struct_class(_NOTHING_OF_TOPICS, {})


async def disk_of(brokers: Brokers, server: str) -> BrokerDisk:
    """Ask one broker how full its disk is, which Kafka can tell from 3.3 on (KIP-827). Raises LogUnavailable."""
    try:
        told = await asked(brokers, server, _AskForDisks())
    except NotImplementedError:
        # What the library says of a broker that does not know this version of the request.
        return BrokerDisk(is_too_old=True)
    except (KafkaError, OSError, TimeoutError) as failed:
        raise LogUnavailable(f"{server} does not say how full its disk is ({type(failed).__name__})") from None
    disks = [(free, total) for _, _, _, total, free, _ in told.results if total > 0]
    return BrokerDisk(min(disks, key=lambda disk: disk[0] / disk[1], default=None))
