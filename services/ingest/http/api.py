"""The API: every operation at its path, closed to whom it is not for; what goes wrong is told without a value."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Lifespan, Receive, Scope, Send

from contracts.definitions.catalogue import DefinitionMissing
from services.ingest.access import Access, AccessUnusable, Client, Role
from services.ingest.cases import KeyMissing
from services.ingest.http import problems
from services.ingest.http.cases import CaseDesk
from services.ingest.http.fhir import FhirDesk
from services.ingest.http.operations import FHIR, OPERATIONS
from services.ingest.http.outcomes import told
from services.ingest.http.problems import Problem
from services.ingest.http.reception import Asked, Handle, Reception
from services.ingest.http.room import Room
from services.ingest.http.roster import RosterDesk
from services.ingest.statements import STATEMENTS
from services.runtime.faults import place_of
from services.runtime.health import Health
from services.runtime.logger import logger
from services.runtime.refusals import DefinitionUnfit
from services.runtime.unavailable import Unavailable

DESCRIPTION: Final = Path(__file__).with_name("openapi.json")
"""Made by `services.ingest.http.openapi`, which need not be loaded to answer."""

Endpoint = Callable[[HttpRequest], Awaitable[Response]]

ANSWERED_WITHIN: Final = 30.0
"""Seconds after which a request is told to come again: log and database are away, or much waits for them."""

TOLD_FOR: Final = 60.0
"""Seconds for which it is told at `/ready` that a request was put off: nobody else would tell that a disk is full."""

LOOKED_THROUGH_WITHIN: Final = 600.0
"""The same for what looks through all cases, or all of a partition."""
_GONE: Final = 499
"""What is logged of a client that did not wait for its answer; nobody is there to read it."""


class Api:
    """The API of one clinic's or one region's ingest."""

    def __init__(self, reception: Callable[[], Reception | None], access: Access, health: Health) -> None:
        """Let clients in by `access`. reception: None as long as nothing can be done yet."""
        self._reception = reception
        self._access = access
        self._health = health
        self._room = Room()

    def _receive(self) -> Reception:
        """Give what there is to ask. Raises Problem."""
        reception = self._reception()
        if reception is None:
            raise Problem(problems.BUSY)
        return reception

    def app(self, *, lifespan: Lifespan[Router] | None = None, **others: Endpoint) -> Router:
        """Give what answers, and to GET at other paths too. lifespan: what runs meanwhile."""
        routes = [_route(f"/{name}", {"GET": endpoint}) for name, endpoint in ({"alive": self._alive} | others).items()]
        # A redirection would repeat what a client has put behind the path.
        return Router([*self._routes(), *routes], redirect_slashes=False, default=_no_such_path, lifespan=lifespan)

    async def _alive(self, _: HttpRequest) -> Response:
        """Tell whoever asks whether it goes on; why not is not for everybody."""
        is_alive = not self._health.alive()
        return JSONResponse({"alive": is_alive}, 200 if is_alive else 503)

    def _routes(self) -> Sequence[Route]:
        """Give every path, each closed to whom it is not for."""
        desks = CaseDesk(self._receive), RosterDesk(self._receive), FhirDesk(self._receive)
        handlers: dict[str, Handle] = {"openapi": _described}
        for desk in desks:
            handlers |= desk.handlers()
        paths: dict[str, dict[str, Endpoint]] = defaultdict(dict)
        # They are tried in turn, and what is stated about a case is most of what comes.
        for operation in sorted(OPERATIONS, key=lambda operation: operation.name not in STATEMENTS):
            within = LOOKED_THROUGH_WITHIN if operation.looks_through else ANSWERED_WITHIN
            paths[operation.path][operation.method] = self.closed(operation.roles, handlers[operation.name], within)
        return [_route(path, endpoints) for path, endpoints in paths.items()]

    def closed(self, roles: Sequence[Role], handle: Handle, within: float = ANSWERED_WITHIN) -> Endpoint:
        """Give what is closed to all but some roles, answers in time, and tells its faults without what they hold."""

        async def endpoint(http: HttpRequest) -> Response:
            try:
                async with asyncio.timeout(within):
                    client = await self._client(http, roles)
                    with self._room.lent(client.clinic) as loan:
                        return await self._handled(handle, Asked(http, client, loan))
            except TimeoutError:
                return self._put_off(f"no answer within {within:.0f} s", http)
            except Problem as problem:
                return _told(problem, http)
            except (Unavailable, DefinitionMissing) as away:
                return self._put_off(str(away), http)
            except (KeyMissing, AccessUnusable) as wrong:
                logger.error("not-recorded", why=str(wrong))
                return _told(Problem(problems.BROKEN), http)
            except ClientDisconnect:
                return Response(status_code=_GONE)
            except Exception as error:  # noqa: BLE001 - its message could hold an answer, so only its place is told
                logger.error("fault", place=place_of(error))
                return _told(Problem(problems.BROKEN), http)

        return endpoint

    def _put_off(self, why: str, http: HttpRequest) -> Response:
        """Tell a client to come again, and whoever asks whether this is ready, why."""
        logger.warning("not-recorded", why=why)
        self._health.set("requests", why, is_elsewhere=True, lasts=TOLD_FOR)
        return _told(Problem(problems.BUSY), http)

    async def _handled(self, handle: Handle, asked: Asked) -> Response:
        """Have a request handled, and again if a definition is not known here: others may just have published it."""
        try:
            return await handle(asked)
        except (Problem, DefinitionMissing) as lacking:
            learn = self._receive().learn
            if learn is None or (isinstance(lacking, Problem) and not lacking.lacks_definition):
                raise
            # What keeps it from being read is told where it is always read: this request lacks what it lacks.
            with suppress(DefinitionUnfit, Unavailable):
                await learn()
        return await handle(asked)

    async def _client(self, http: HttpRequest, roles: Sequence[Role]) -> Client:
        client = await self._access.client(http.headers.get("authorization"))
        if client is None:
            raise Problem(problems.NO_CREDENTIAL)
        if client.role not in roles:
            raise Problem(problems.NOT_ALLOWED)
        return client


class _Path:
    """What answers at a path: an application of its own, since its endpoints tell what goes wrong by themselves."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = {"HEAD": endpoints["GET"], **endpoints} if "GET" in endpoints else endpoints
        self._allowed = {"Allow": ", ".join(self._endpoints)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive, send)
        endpoint = self._endpoints.get(http.method, self._not_allowed)
        answer = await endpoint(http)
        # What patients have said is kept nowhere in between, and that a case is known neither.
        answer.headers["Cache-Control"] = "no-store"
        await answer(scope, receive, send)

    async def _not_allowed(self, http: HttpRequest) -> Response:
        return _told(Problem(problems.METHOD, headers=self._allowed), http)


def _route(path: str, endpoints: Mapping[str, Endpoint]) -> Route:
    """Give a path, which says of all its methods that they are allowed."""
    return Route(path, _Path(endpoints))


async def _described(_: Asked) -> Response:
    """Give the description that ships with this version."""
    return Response(_description(), media_type="application/json")


@cache
def _description() -> bytes:
    return DESCRIPTION.read_bytes()


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer where no path is."""
    await _told(Problem(problems.NOT_FOUND), HttpRequest(scope))(scope, receive, send)


def _told(problem: Problem, http: HttpRequest) -> Response:
    """Tell a problem in the words that the path is for."""
    return told(problem) if http.url.path.startswith(FHIR) else problem.response()
