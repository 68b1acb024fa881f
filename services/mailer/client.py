"""Ingest over HTTP."""

import ssl
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import httpx2
import structlog

from services.mailer.domain.delivery import Fact
from services.mailer.ingest import IngestUnavailable

_ANSWERS_WITHIN: Final = 15.0
"""Seconds: longer than ingest itself has patience."""

_NOT_LET_IN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_IS_DONE: Final = (HTTPStatus.CREATED, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)
"""The answers after which nothing is left to record: also where another outcome stands, or the case is erased."""

_LOG = structlog.get_logger()


class IngestOverHttp:
    """The API of ingest as an `Ingest`."""

    def __init__(self, url: str, token: str, context: ssl.SSLContext) -> None:
        """Use the API at a URL. context: says who vouches for it."""
        self._client = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=context,
            timeout=_ANSWERS_WITHIN,
            trust_env=False,
        )

    async def has(self, case_id: str, fact_id: str) -> bool:
        """Tell whether a fact of a case is on the log."""
        status = await self._asked("GET", f"/v1/cases/{case_id}/facts/{fact_id}")
        if status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise IngestUnavailable(f"ingest does not answer as expected ({status})")
        return status == HTTPStatus.OK

    async def record(self, fact: Fact) -> None:
        """Record a fact."""
        _, name, _ = fact.type.split(".")
        body = {**fact.data.model_dump(mode="json"), "id": fact.id, "at": fact.time.isoformat()}
        status = await self._asked("POST", f"/v1/cases/{fact.subject}/{name}", body)
        if status not in _IS_DONE:
            raise IngestUnavailable(f"ingest does not record what came of a mail ({status})")
        if status != HTTPStatus.CREATED:
            _LOG.warning("outcome-not-recorded", case=fact.subject, notice=fact.data.notice, status=status)

    async def _asked(self, method: str, path: str, body: object = None) -> int:
        try:
            status = (await self._client.request(method, path, json=body)).status_code
        except httpx2.HTTPError as failed:
            raise IngestUnavailable(f"ingest cannot be reached ({type(failed).__name__}): {_CHECK}") from None
        if status in _NOT_LET_IN:
            raise IngestUnavailable("ingest does not let the mailer in: check ONTRACK_INGEST_TOKEN")
        return status

    async def __aenter__(self) -> Self:
        """Use the connections."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of them."""
        await self._client.aclose()


_CHECK: Final = "check that it runs, ONTRACK_INGEST_URL and ONTRACK_INGEST_CA_FILE"
