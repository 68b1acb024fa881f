"""MongoDB as the adapters use it: the only module that speaks to its driver, and every operation that is used.

Only what MongoDB and FerretDB both do is used: no transactions, no change streams, no scripts on the server.
"""

import dataclasses
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from services.runtime.unavailable import Unavailable

Document = Mapping[str, Any]

AT_ONCE: Final = 500
"""Conditional writes in one command. FerretDB takes fewer than it has free connections to PostgreSQL."""

ASKED_AT_ONCE: Final = 1_000
_COMMAND_BYTES: Final = 16_000_000
_ROUNDS: Final = 3
_CONNECTS_WITHIN: Final = 5.0
_UNAUTHORIZED: Final = 13
_DUPLICATE_KEY: Final = 11_000
_AUTHENTICATION_FAILED: Final = 18
_IS_INITIATED: Final = 23
_USER_IS_THERE: Final = 51_003
_INVALID_LOGIN: Final = "SQLSTATE 28P01"
"""What PostgreSQL says through FerretDB, which has no code of its own for it."""

_MAJORITY: Final = {"w": "majority", "j": True}


@dataclass(frozen=True, slots=True)
class Server:
    """Where the documents are, and how one proves who one is.

    url: mongodb://host:port/, without name and password
    tls, ca_file: whether connections are encrypted, and who vouches for the server; None: whom the system trusts
    mechanism: SCRAM-SHA-256 for MongoDB; PLAIN for FerretDB
    timeout: seconds within which one operation is answered
    """

    url: str
    database: str = "ontrack"
    tls: bool = False
    ca_file: str | None = None
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    mechanism: str = "SCRAM-SHA-256"
    timeout: float = 20.0
    at_once: int = AT_ONCE

    def of_users(self) -> "Server":
        """Give the same with the database that keeps the users."""
        return dataclasses.replace(self, database="admin")

    def alone(self) -> tuple["Server", Sequence[str], str | None]:
        """Give the first of the hosts by itself, the hosts, and the name of their replica set."""
        said = parse_uri(self.url, warn=False)
        hosts = [f"{host}:{port}" for host, port in said["nodelist"]]
        options = {name.lower(): str(value) for name, value in said["options"].items()}
        url = f"mongodb://{hosts[0]}/?directConnection=true&authSource={options.get('authsource', 'admin')}"
        return dataclasses.replace(self.of_users(), url=url), hosts, options.get("replicaset")


@dataclass(frozen=True, slots=True)
class About:
    """What a server is, and how it is.

    time: by its clock; disk: how many bytes of its disk are free, and how many there are, if it says so
    members: the hosts of its replica set; none if it is in none
    """

    version: str
    is_ferretdb: bool
    time: datetime
    disk: tuple[int, int] | None
    members: Sequence[str]


@dataclass(frozen=True, slots=True)
class Replacement:
    """Write a document on condition that its number is still `expected` (None: that there is no such document)."""

    id: str
    expected: int | None
    number: int
    fields: Document


@dataclass(frozen=True, slots=True)
class Standing:
    """How a document stands after a conditional write: its number, and whether this very write has given it."""

    number: int | None
    is_ours: bool


class _Updated(NamedTuple):
    """What came of writes: how many met a document or made one, and how many changed something."""

    met: int
    changed: int


class Documents:
    """One database."""

    def __init__(self, server: Server) -> None:
        """Use a server; it is reached when something is asked of it."""
        self._at_once = server.at_once
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            server.url,
            **_identity(server),
            appname="ontrack",
            connectTimeoutMS=round(min(server.timeout, _CONNECTS_WITHIN) * 1_000),
            serverSelectionTimeoutMS=round(min(server.timeout, _CONNECTS_WITHIN) * 1_000),
            socketTimeoutMS=round(server.timeout * 1_000),
            retryReads=False,
            retryWrites=False,
            tls=server.tls,
            tlsCAFile=server.ca_file,
            tz_aware=True,
            readPreference="primary",
            readConcernLevel="majority",
            w="majority",
            journal=True,
        )
        self._database = self._client[server.database]
        self.name: Final = f"{server.database} at {server.url}"

    async def about(self) -> About:
        """Tell what server it is, and how it is."""
        build = await self._database.command("buildInfo")
        hello = await self._database.command("hello")
        size = await self._database.command("dbStats")
        total = size.get("fsTotalSize")
        return About(
            version=str(build["version"]),
            is_ferretdb="ferretdbVersion" in build or "ferretdb" in build,
            time=hello["localTime"],
            disk=None if not total else (int(total - size["fsUsedSize"]), int(total)),
            members=tuple(hello.get("hosts", ())),
        )

    def why_away(self) -> str | None:
        """Say why there is no connection, as far as that is known: a call would wait for one first."""
        servers = self._client.delegate.topology_description.server_descriptions().values()
        errors = [str(server.error) for server in servers if server.error is not None]
        return f"the database is away: {_away(errors[0])}" if errors else None

    async def find(self, collection: str, ids: Collection[str], fields: Sequence[str] = ()) -> list[Document]:
        """Give the documents with some ids; all of their fields, or some."""
        return await self.find_by(collection, "_id", ids, fields)

    async def find_by(
        self, collection: str, field: str, values: Collection[str], fields: Sequence[str] = ()
    ) -> list[Document]:
        """Give the documents that have one of some values in a field; all of their fields, or some."""
        wanted, found = list(values), list[Document]()
        projection = dict.fromkeys(fields, 1) or None
        for start in range(0, len(wanted), ASKED_AT_ONCE):
            some = wanted[start : start + ASKED_AT_ONCE]
            found += await self._database[collection].find({field: {"$in": some}}, projection).to_list(None)
        return found

    async def find_where(self, collection: str, fields: Document) -> list[Document]:
        """Give the documents with some values, in the order of their ids."""
        found: list[Document] = []
        found += await self._database[collection].find(dict(fields)).sort("_id", 1).to_list(None)
        return found

    async def find_up_to(
        self, collection: str, field: str, until: str, limit: int, after: tuple[str, str] | None = None
    ) -> list[Document]:
        """Give which documents have a text in a field that comes no later than another one, in the order of the texts.

        Each with that text and its number.

        after: only those beyond a text and an id, in that order
        """
        found: list[Document] = []
        wanted: Document = {field: {"$lte": until}}
        if after is not None:
            text, name = after
            wanted = {field: {"$gte": text, "$lte": until}, "$or": [{field: {"$gt": text}}, {"_id": {"$gt": name}}]}
        documents = self._database[collection].find(wanted, {field: 1, "number": 1})
        found += await documents.sort([(field, 1), ("_id", 1)]).limit(limit).to_list(None)
        return found

    async def count_where(self, collection: str, fields: Document) -> int:
        """Count the documents with some values."""
        return int((await self._database.command("count", collection, query=dict(fields)))["n"])

    async def each(self, collection: str) -> AsyncIterator[Document]:
        """Give every document, in the order of their ids."""
        async for document in self._database[collection].find({}).sort("_id", 1):
            yield document

    async def ids(self, collection: str) -> AsyncIterator[str]:
        """Give every id, in order."""
        async for document in self._database[collection].find({}, {"_id": 1}).sort("_id", 1):
            yield document["_id"]

    async def put(self, collection: str, documents: Mapping[str, Document]) -> None:
        """Write documents by id, whatever stands there."""
        updates = [({"_id": identity}, {"$set": dict(fields)}, True) for identity, fields in documents.items()]
        for _ in range(_ROUNDS):
            # Two that insert the same document at one moment: one of them has to come again.
            if (await self._update(collection, updates)).met == len(updates):
                return
        raise PyMongoError("not everything was written")

    async def put_new(self, collection: str, documents: Mapping[str, Document]) -> None:
        """Write documents by id where nothing stands yet. What was there first stays."""
        await self._update(
            collection,
            [({"_id": identity}, {"$setOnInsert": dict(fields)}, True) for identity, fields in documents.items()],
        )

    async def set_where(self, collection: str, wanted: Document, fields: Document) -> bool:
        """Change the document with some values; tell whether there is one."""
        done = await self._database[collection].update_one(dict(wanted), {"$set": dict(fields)})
        return done.matched_count == 1

    async def remove_where(self, collection: str, fields: Document) -> int:
        """Remove the documents with some values; tell how many there were."""
        done = await self._database[collection].delete_many(dict(fields))
        return done.deleted_count

    async def remove_each(self, collection: str, documents: Sequence[Document]) -> None:
        """Remove documents, each of them if it has the values that are named."""
        for start in range(0, len(documents), self._at_once):
            some = documents[start : start + self._at_once]
            reply = await self._database.command(
                "delete",
                collection,
                deletes=[{"q": dict(each), "limit": 1} for each in some],
                ordered=False,
                writeConcern=_MAJORITY,
            )
            _require_written(reply)

    async def remove_all(self, collection: str) -> None:
        """Remove a collection."""
        await self._database.drop_collection(collection)

    async def replace(self, collection: str, replacements: Sequence[Replacement]) -> list[Standing]:
        """Write documents, each on its condition; tell how each stands, in their order.

        Whatever the server said of it, or did not say because the connection broke: where not everything is known to
        be written, the numbers are read back, and what is neither written nor overtaken is tried again.
        """
        by = uuid4().hex
        standing: dict[str, Standing] = {}
        for chunk in _chunks(replacements, self._at_once):
            standing |= await self._replaced(collection, chunk, by)
        return [standing[replacement.id] for replacement in replacements]

    async def _replaced(self, collection: str, chunk: Sequence[Replacement], by: str) -> dict[str, Standing]:
        left, failed = list(chunk), PyMongoError("not everything was written")
        for _ in range(_ROUNDS):
            try:
                done = (await self._update(collection, [_conditional(each, by) for each in left])).changed
            except PyMongoError as error:
                done, failed = 0, error
            if done == len(left):
                break
            numbers = {each["_id"]: each["number"] for each in await self.find(collection, _ids(left), ("number",))}
            left = [each for each in left if numbers.get(each.id) == each.expected]
            if not left:
                break
        else:
            raise failed
        if done == len(chunk):
            return {each.id: Standing(each.number, is_ours=True) for each in chunk}
        found = await self.find(collection, _ids(chunk), ("number", "by"))
        standing = {each["_id"]: Standing(each["number"], each.get("by") == by) for each in found}
        return {each.id: standing.get(each.id, Standing(None, is_ours=False)) for each in chunk}

    async def _update(self, collection: str, updates: Sequence[tuple[Document, Document, bool]]) -> _Updated:
        """Send conditional writes; tell what came of them. One that meets its double being inserted does nothing."""
        met = changed = 0
        for start in range(0, len(updates), self._at_once):
            some = updates[start : start + self._at_once]
            reply = await self._database.command(
                "update",
                collection,
                updates=[{"q": q, "u": u, "upsert": upsert} for q, u, upsert in some],
                ordered=False,
                writeConcern=_MAJORITY,
            )
            _require_written(reply)
            # FerretDB counts nothing where anything has failed.
            met += reply.get("n", 0)
            changed += reply.get("nModified", 0) + len(reply.get("upserted", ()))
        return _Updated(met, changed)

    async def create_index(self, collection: str, field: str, *, unique: bool) -> None:
        """Make an index, unless it is there."""
        await self._database[collection].create_index([(field, 1)], unique=unique)

    async def unite(self, name: str, hosts: Sequence[str]) -> None:
        """Make one of some servers the first of a replica set of them, unless it is in one.

        To be asked of that server itself.
        """
        said = await self._database.command("hello")
        if "isreplicaset" not in said:
            return
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        try:
            await self._database.command("replSetInitiate", {"_id": name, "members": members})
        except OperationFailure as refused:
            if refused.code != _IS_INITIATED:
                raise

    async def let_in(self, user: str, password: str, database: str) -> None:
        """Let a user of this database read and write in another one, with this password from now on."""
        identity: dict[str, Any] = {"pwd": password, "roles": [{"role": "readWrite", "db": database}]}
        try:
            await self._database.command("createUser", user, **identity)
        except OperationFailure as refused:
            if refused.code != _USER_IS_THERE:
                raise
            await self._database.command("updateUser", user, **identity)

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    async def __aenter__(self) -> Self:
        """Use the database."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _require_written(reply: Document) -> None:
    """Make sure of what the driver leaves to whoever sends a command: a reply can be well and name failures.

    Raises OperationFailure for a write that failed, but not for one of a document that somebody has just inserted, and
    for writes that a majority of the servers does not have.
    """
    failed = [error for error in reply.get("writeErrors", ()) if error.get("code") != _DUPLICATE_KEY]
    if error := next(iter(failed), reply.get("writeConcernError")):
        raise OperationFailure(str(error.get("codeName", "")), error.get("code"), dict(error))


def require_address(url: str) -> str:
    """Make sure that a driver can go where a URL says. Raises ValueError."""
    try:
        parse_uri(url, warn=False)
    except (PyMongoError, ValueError):
        # What they say can quote.
        raise ValueError from None
    return url


@contextmanager
def told_as(unavailable: type[Unavailable]) -> Iterator[None]:
    """Tell what the server or the way to it refuses as a port tells it; its own words can be long, and can quote."""
    try:
        yield
    except OperationFailure as refused:
        raise unavailable(_refused(refused)) from None
    except ConnectionFailure as failed:
        raise unavailable(f"the database is away: {_away(str(failed))}") from None
    except PyMongoError as failed:
        raise unavailable(f"the database is away ({type(failed).__name__})") from None


def _refused(refused: OperationFailure) -> str:
    """Say what the server does not allow, and what to check."""
    name = (refused.details or {}).get("codeName", refused.code)
    if refused.code == _AUTHENTICATION_FAILED or _INVALID_LOGIN in str(refused):
        return (
            "the database does not let the user in: check ONTRACK_MONGODB_USERNAME, ONTRACK_MONGODB_PASSWORD "
            "and ONTRACK_MONGODB_MECHANISM"
        )
    if refused.code == _UNAUTHORIZED:
        return (
            f"the database refuses ({name}): check that ONTRACK_MONGODB_USERNAME names a user who may read and write "
            "in ONTRACK_MONGODB_DATABASE"
        )
    return f"the database refuses ({name})"


def _away(said: str) -> str:
    """Say why no connection came about, and what to check. The driver has one error for all, and tells in words."""
    if found := re.search(r"certificate verify failed: (.+?)\.? \(", said):
        return (
            f"its certificate is not trusted ({found[1]}): check ONTRACK_MONGODB_CA_FILE, and that "
            "ONTRACK_MONGODB_URL names the server as its certificate does"
        )
    if "[SSL" in said or "SSL handshake failed" in said:
        return "it does not speak TLS at this port: check ONTRACK_MONGODB_URL and ONTRACK_MONGODB_TLS"
    if "connection closed" in said or "Connection reset" in said:
        return "it closes the connection: check that it runs, and ONTRACK_MONGODB_TLS, if it requires TLS"
    if "Connection refused" in said:
        return "nothing listens there: check that it runs, and ONTRACK_MONGODB_URL"
    return "it does not answer: check that it runs, and ONTRACK_MONGODB_URL and ONTRACK_MONGODB_TLS"


def _identity(server: Server) -> dict[str, Any]:
    if server.username is None or server.password is None:
        return {}
    return {"username": server.username, "password": server.password, "authMechanism": server.mechanism}


def _ids(replacements: Sequence[Replacement]) -> list[str]:
    return [each.id for each in replacements]


def _conditional(replacement: Replacement, by: str) -> tuple[Document, Document, bool]:
    fields = {"number": replacement.number, "by": by, **replacement.fields}
    if replacement.expected is None:
        return {"_id": replacement.id}, {"$setOnInsert": fields}, True
    return {"_id": replacement.id, "number": replacement.expected}, {"$set": fields}, False


def _chunks(replacements: Sequence[Replacement], at_once: int) -> Iterator[list[Replacement]]:
    """Divide writes into commands that are neither too many nor too large."""
    chunk: list[Replacement] = []
    size = 0
    for replacement in replacements:
        weight = sum(len(value) for value in replacement.fields.values() if isinstance(value, bytes))
        if chunk and (len(chunk) == at_once or size + weight > _COMMAND_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(replacement)
        size += weight
    if chunk:
        yield chunk
