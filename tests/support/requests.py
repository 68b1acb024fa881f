"""Requests to an API at a port of this machine, one after the other."""

import http.client
import ssl
from typing import Any

import orjson


class Requests:
    """Where an API answers."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Ask at a port. tls: says who vouches for it; without it nothing is encrypted."""
        self.port = port
        self._tls = tls

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, token: str, body: object = None, key: str | None = None) -> tuple[int, Any]:
        """Send a request: the status, and what the answer says. Raises OSError or HTTPException if none comes."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        connection = self._connection()
        try:
            connection.request(method, path, None if body is None else orjson.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, orjson.loads(content) if content else None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self._tls)

    def enrolled(self, token: str, number: str) -> dict[str, str]:
        """Enrol a case: its id, and the fact that says so."""
        body = {"number": number, "protocol": "open-ended", "policy": "gryesten-2023"}
        status, answer = self.ask("POST", "/v1/cases", token, body, f"enrol-{number}")
        assert status == 201, answer
        return dict(answer)
