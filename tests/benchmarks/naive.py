"""The reference: the same stage as a straightforward FastStream service would run it, one message at a time.

A typed handler, `find_one`, the fold, a publication, `replace_one`, an acknowledgement. It loses its place and repeats
itself where `services.runtime` does not; it is here to be measured.
"""

import asyncio
import time
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import BaseModel, TypeAdapter

from contracts.codec import CaseKey, encode, prepared
from contracts.events.event import Event, Sealed
from contracts.topics import SCORES, TRACKS
from services.runtime.brokers import Brokers
from services.runtime.documents import Server
from services.runtime.stage import Stage
from tests.benchmarks.loops import Took

Document = dict[str, Any]


class States(Protocol):
    """What the service needs of a collection."""

    async def find_one(self, wanted: Document) -> Document | None: ...

    async def replace_one(self, wanted: Document, document: Document, *, upsert: bool) -> object: ...


class MemoryStates:
    """A collection in memory."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}

    async def find_one(self, wanted: Document) -> Document | None:
        return self._documents.get(wanted["_id"])

    async def replace_one(self, wanted: Document, document: Document, *, upsert: bool) -> object:
        assert upsert
        self._documents[wanted["_id"]] = document
        return None


class Said(BaseModel):
    """A record, typed."""

    id: str
    source: str
    subject: str
    time: datetime
    recordedtime: datetime
    correlationid: str
    causationid: str | None = None
    type: str
    sequence: int
    keyid: str
    data_base64: str

    def opened(self, key: CaseKey) -> Event[Any]:
        """Open it."""
        kind = SCORES.type_named(self.type)
        assert kind is not None
        plain = key.unseal(b64decode(self.data_base64), self.id.encode(), self.type.encode())
        return Event(
            id=self.id,
            source=self.source,
            subject=self.subject,
            time=self.time,
            recordedtime=self.recordedtime,
            correlationid=self.correlationid,
            causationid=self.causationid,
            data=kind.model_validate_json(plain),
            sequence=self.sequence,
            sealed=Sealed(self.keyid, self.data_base64, plain),
        )


class Naive:
    """The service. It ends after some events."""

    def __init__(self, brokers: Brokers, tracks: str, stage: Stage[Any], states: States, events: int) -> None:
        self._broker = KafkaBroker(brokers.servers.split(","), acks="all", logger=None)
        self._tracks = tracks
        self._stage = stage
        self._folded: TypeAdapter[Any] = TypeAdapter(stage.state)
        self._states = states
        self._keys: Mapping[str, CaseKey] = {}
        self._left = events
        self._began: tuple[float, float] | None = None
        self._took: asyncio.Future[Took] = asyncio.get_running_loop().create_future()
        subscriber = self._broker.subscriber(
            brokers.topic(SCORES), group_id=uuid4().hex, ack_policy=AckPolicy.MANUAL, auto_offset_reset="earliest"
        )
        subscriber(self._handle)

    async def run(self, keys: Mapping[str, CaseKey]) -> Took:
        """Work on the events; give how long that took from the first one on."""
        self._keys = keys
        await self._broker.start()
        try:
            return await self._took
        finally:
            await self._broker.stop()

    async def _handle(self, said: Said, message: KafkaMessage) -> None:
        if self._began is None:
            self._began = time.perf_counter(), time.process_time()
        if self._left == 0:
            return
        document = await self._states.find_one({"_id": said.subject})
        read, written = (0, 0) if document is None else (document["read"], document["written"])
        if said.sequence > read:
            state = self._stage.initial(said.subject) if document is None else self._state(document)
            key, event = self._keys[said.subject], said.opened(self._keys[said.subject])
            following = [event]
            if type(event.data) in self._stage.acts_on:
                state, stepped = self._stage.step(state, event)
                following = list(stepped)
            for each in following:
                written += 1
                value = encode(prepared(each, key, written))
                await self._broker.publish(value, f"{self._tracks}{TRACKS.name}", key=said.subject.encode())
            folded = self._folded.dump_json(state)
            document = {"_id": said.subject, "read": said.sequence, "written": written, "state": folded}
            await self._states.replace_one({"_id": said.subject}, document, upsert=True)
        await message.ack()
        self._left -= 1
        if self._left == 0:
            began, used = self._began
            self._took.set_result(Took(time.perf_counter() - began, time.process_time() - used))

    def _state(self, document: Document) -> Any:
        return self._folded.validate_json(document["state"])


async def naive(
    brokers: Brokers, tracks: str, stage: Stage[Any], keys: Mapping[str, CaseKey], events: int, server: Server | None
) -> Took:
    """Run the service over the first events of SCORES. server: where its states are; None: in memory."""
    if server is None:
        return await Naive(brokers, tracks, stage, MemoryStates(), events).run(keys)
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(server.url)
    try:
        states: Any = client[server.database]["naive"]
        return await Naive(brokers, tracks, stage, states, events).run(keys)
    finally:
        client.close()
