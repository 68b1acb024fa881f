"""What is made of answers in which a database says that it has not done what it was asked to."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from services.runtime.documents import Documents, Server
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.keyring.port import KeyringUnavailable
from services.runtime.store.mongo import MongoStore
from services.runtime.store.port import Halted, Outcome, Position, StoreUnavailable, Write
from services.runtime.unavailable import Unavailable
from tests.conformance.store import state
from tests.support.scripted import Reply, scripted

WRITTEN: Final[Reply] = {"ok": 1.0, "n": 1, "nModified": 1}
NOT_WRITTEN: Final[Reply] = {"ok": 1.0, "n": 0, "nModified": 0, "writeErrors": [{"index": 0, "code": 112}]}
NOT_ON_A_MAJORITY: Final[Reply] = {**WRITTEN, "writeConcernError": {"code": 189, "codeName": "PrimarySteppedDown"}}
DUPLICATE: Final = [{"index": 0, "code": 11_000}]
INSERTED_BY_ANOTHER: Final[dict[str, Reply]] = {
    "MongoDB": {"ok": 1.0, "n": 0, "nModified": 0, "writeErrors": DUPLICATE},
    "FerretDB": {"ok": 1.0, "writeErrors": DUPLICATE},
}


def found(*documents: dict[str, Any]) -> Reply:
    return {"ok": 1.0, "cursor": {"id": 0, "ns": "ontrack.any", "firstBatch": list(documents)}}


Call = Callable[[Documents], Awaitable[object]]
WRITES: Final[dict[str, tuple[type[Unavailable], Call]]] = {
    "halting a case": (
        StoreUnavailable,
        lambda documents: MongoStore(documents).halt("scoring", [Halted("a", 0, 3, "key-missing")]),
    ),
    "letting a case go on": (
        StoreUnavailable,
        lambda documents: MongoStore(documents).resume("scoring", [Halted("a", 0, 3, "key-missing", mark="1")]),
    ),
    "saying how far a stage is": (
        StoreUnavailable,
        lambda documents: MongoStore(documents).set_position("scoring", 0, Position("log", 3), "somebody"),
    ),
    "destroying a key": (
        KeyringUnavailable,
        lambda documents: MongoKeyring(documents, MasterKey(bytes(32))).destroy("a"),
    ),
}


@pytest.mark.parametrize("reply", [NOT_WRITTEN, NOT_ON_A_MAJORITY], ids=["not written", "not on a majority"])
@pytest.mark.parametrize(("unavailable", "call"), WRITES.values(), ids=WRITES)
async def test_a_write_counts_as_done_only_if_the_answer_names_no_failure(
    reply: Reply, unavailable: type[Unavailable], call: Call
) -> None:
    # given a database that answers, and whose answer says that the write has failed
    with scripted(update=[reply], delete=[reply]) as url:
        async with Documents(Server(url)) as documents:
            # when something is written
            # then that is no success
            with pytest.raises(unavailable):
                await call(documents)


async def test_a_state_that_no_majority_has_is_not_applied() -> None:
    # given a database that writes a state, and cannot say that a majority has it
    with scripted(update=[NOT_ON_A_MAJORITY], find=[found({"_id": "a", "number": 3})]) as url:
        async with Documents(Server(url)) as documents:
            # when that is saved
            # then it counts as not known
            with pytest.raises(StoreUnavailable, match="PrimarySteppedDown"):
                await MongoStore(documents).save("scoring", [Write("a", 3, state(5))])


async def test_a_state_that_a_majority_came_to_have_is_applied() -> None:
    # given a database that cannot say so at first
    with scripted(update=[NOT_ON_A_MAJORITY, NOT_WRITTEN], find=[found({"_id": "a", "number": 5})]) as url:
        async with Documents(Server(url)) as documents:
            # when a state is saved that is read back
            outcomes = await MongoStore(documents).save("scoring", [Write("a", 3, state(5))])

    # then it is there, if not by this very write
    assert list(outcomes) == [Outcome.ALREADY_APPLIED]


@pytest.mark.parametrize("reply", INSERTED_BY_ANOTHER.values(), ids=INSERTED_BY_ANOTHER)
async def test_a_document_that_another_inserts_at_that_moment_is_written_after_all(reply: Reply) -> None:
    # given a database in which somebody inserts the same document first
    with scripted(update=[reply, WRITTEN]) as url:
        async with Documents(Server(url)) as documents:
            # when it is put there whatever stands there
            # then it is tried again
            await documents.put("halted", {"a": {"reason": "key-missing"}})
