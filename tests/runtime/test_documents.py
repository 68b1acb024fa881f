"""What is made of answers in which a database says that it has not done what it was asked to."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from services.runtime.documents import Documents, Server, told_as
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.keyring.port import KeyringUnavailable
from services.runtime.store.mongo import MongoStore
from services.runtime.store.port import Halted, Outcome, Position, StoreUnavailable, Write
from services.runtime.unavailable import Unavailable
from tests.conformance.store import state
from tests.support.scripted import HELLO, Reply, scripted

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


@pytest.mark.parametrize(
    ("url", "first", "hosts", "replica_set"),
    [
        (
            "mongodb://db-1:27017,db-2/?replicaSet=ontrack",
            "mongodb://db-1:27017/?directConnection=true&authSource=admin",
            ["db-1:27017", "db-2:27017"],
            "ontrack",
        ),
        (
            "mongodb://db-1:27018/?authSource=users",
            "mongodb://db-1:27018/?directConnection=true&authSource=users",
            ["db-1:27018"],
            None,
        ),
    ],
)
def test_the_first_of_a_replica_set_is_found_by_itself(
    url: str, first: str, hosts: list[str], replica_set: str | None
) -> None:
    alone, found, name = Server(url, username="administrator", password="secret").alone()
    assert (alone.url, list(found), name) == (first, hosts, replica_set)
    assert (alone.database, alone.username, alone.password) == ("admin", "administrator", "secret")


IN_NO_SET: Final[Reply] = {**HELLO, "ismaster": False, "isWritablePrimary": False, "isreplicaset": True}
IN_A_SET: Final[Reply] = {**HELLO, "isWritablePrimary": True, "setName": "ontrack", "hosts": ["db-1:27017"]}
DONE: Final[Reply] = {"ok": 1.0}


def refusal(code: int, name: str) -> Reply:
    return {"ok": 0.0, "code": code, "codeName": name, "errmsg": name}


def sent(heard: list[Reply], command: str) -> list[Reply]:
    return [each for each in heard if command in each]


async def test_a_server_that_is_in_no_replica_set_becomes_the_first_of_one() -> None:
    # given a MongoDB that was started for a set that there is not yet
    heard: list[Reply] = []
    with scripted(heard, hello=[IN_NO_SET], replSetInitiate=[DONE]) as url:
        async with Documents(Server(f"{url}?directConnection=true", database="admin")) as documents:
            # when it is to be one, then it is told which
            await documents.unite("ontrack", ["db-1:27017", "db-2:27017"])
    (told,) = sent(heard, "replSetInitiate")
    members = [{"_id": 0, "host": "db-1:27017"}, {"_id": 1, "host": "db-2:27017"}]
    assert told["replSetInitiate"] == {"_id": "ontrack", "members": members}
    assert told["$db"] == "admin"


async def test_somebody_else_may_make_the_replica_set_at_that_moment() -> None:
    with scripted(hello=[IN_NO_SET], replSetInitiate=[refusal(23, "AlreadyInitialized")]) as url:
        async with Documents(Server(f"{url}?directConnection=true", database="admin")) as documents:
            await documents.unite("ontrack", ["db-1:27017"])


@pytest.mark.parametrize("hello", [HELLO, IN_A_SET], ids=["no set is wanted", "it is in one"])
async def test_a_server_that_needs_no_replica_set_is_left_alone(hello: Reply) -> None:
    heard: list[Reply] = []
    with scripted(heard, hello=[hello]) as url:
        async with Documents(Server(f"{url}?directConnection=true", database="admin")) as documents:
            await documents.unite("ontrack", ["db-1:27017"])
    assert sent(heard, "replSetInitiate") == []


async def test_a_user_who_is_there_gets_the_new_password() -> None:
    # given a database that has the user
    heard: list[Reply] = []
    there = refusal(51_003, "Location51003")
    with scripted(heard, createUser=[there], updateUser=[DONE]) as url:
        async with Documents(Server(url, database="admin")) as documents:
            # when they are let in
            await documents.let_in("scoring", "a-password", "ontrack")

    # then they have the password, and the right to one database
    (told,) = sent(heard, "updateUser")
    assert (told["updateUser"], told["pwd"]) == ("scoring", "a-password")
    assert told["roles"] == [{"role": "readWrite", "db": "ontrack"}]


async def test_a_user_who_cannot_be_made_is_told_without_the_password() -> None:
    with scripted(createUser=[refusal(13, "Unauthorized")]) as url:
        async with Documents(Server(url, database="admin")) as documents:
            with pytest.raises(StoreUnavailable, match="Unauthorized") as said, told_as(StoreUnavailable):
                await documents.let_in("scoring", "a-password", "ontrack")
    assert "a-password" not in str(said.value)
