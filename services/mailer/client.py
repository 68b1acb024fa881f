"""Ingest over HTTP."""

import ssl
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import httpx2
from pydantic import TypeAdapter, ValidationError

from services.mailer.domain.delivery import Fact
from services.mailer.ingest import IngestUnavailable, NotRecorded, Told
from services.runtime.logger import logger

ANSWERS_WITHIN: Final = 40.0
"""Seconds: longer than ingest itself has patience, so that what it recorded late is not taken for not recorded."""

_PROBLEM: Final = "urn:ontrack:problem:"
_THERE_ALREADY: Final = "key-reused"
_OF_ONE_CASE: Final = "case-unclear"
"""What ingest answers of a case with which something is wrong, and of no other."""
_CHECK: Final = "check that it runs, ONTRACK_INGEST_URL and ONTRACK_INGEST_CA_FILE"
_TOLD: Final = TypeAdapter(Told)


class IngestOverHttp:
    """The API of ingest as an `Ingest`."""

    def __init__(self, url: str, token: str, context: ssl.SSLContext) -> None:
        """Use the API at a URL. context: says who vouches for it."""
        self._client = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=context,
            timeout=ANSWERS_WITHIN,
            trust_env=False,
        )

    async def told(self, case_id: str, notice: str) -> Told:
        """Tell what is on the log of a notice and its case, up to its last record."""
        answer = await self._asked("GET", f"/v1/cases/{case_id}/notices/{notice}")
        if answer.status_code != HTTPStatus.OK:
            raise NotRecorded(f"ingest does not tell of a notice ({_code(answer)})")
        try:
            return _TOLD.validate_json(answer.content)
        except ValidationError:
            raise IngestUnavailable(f"what answers is not ingest: {_CHECK}") from None

    async def record(self, fact: Fact) -> None:
        """Record a fact. It is no error if one of that id is there."""
        _, name, _ = fact.type.split(".")
        body = {**fact.data.model_dump(mode="json"), "id": fact.id, "at": fact.time.isoformat()}
        answer = await self._asked("POST", f"/v1/cases/{fact.subject}/{name}", body)
        if answer.status_code == HTTPStatus.CREATED:
            return
        if _code(answer) != _THERE_ALREADY:
            raise NotRecorded(f"ingest does not record what came of a mail ({_code(answer)})")
        logger.warning("outcome-not-recorded", case=fact.subject, notice=fact.data.notice, why=_THERE_ALREADY)

    async def _asked(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Ask something of ingest, and of nobody else. Raises IngestUnavailable."""
        try:
            answer = await self._client.request(method, path, json=body)
        except httpx2.HTTPError as failed:
            raise IngestUnavailable(f"ingest cannot be reached ({type(failed).__name__}): {_CHECK}") from None
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise IngestUnavailable("ingest does not let the mailer in: check ONTRACK_INGEST_TOKEN")
        if answer.is_error and not (code := _code(answer)):
            raise IngestUnavailable(f"what answers is not ingest ({answer.status_code}): {_CHECK}")
        if answer.is_server_error and code != _OF_ONE_CASE:
            raise IngestUnavailable(f"ingest can answer nothing just now ({code}): its /ready says why")
        return answer

    async def __aenter__(self) -> Self:
        """Use the connections."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of them."""
        await self._client.aclose()


def _code(answer: httpx2.Response) -> str:
    """Give the code of a problem document of ingest; nothing if it is none."""
    try:
        kind = answer.json()["type"]
    except (ValueError, TypeError, KeyError):
        return ""
    return kind.removeprefix(_PROBLEM) if isinstance(kind, str) and kind.startswith(_PROBLEM) else ""
