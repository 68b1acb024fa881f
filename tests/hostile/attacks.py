"""Requests that nobody should send: each is drawn by chance, and none of them says anything that may be recorded."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

import orjson

MARK: Final = "kanin"
"""Stands in whatever is sent that could be an answer, and so may come back in none."""

ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
End = Literal["close", "half", "reset", "read"]
"""How a client ends: it goes away in order, says that nothing more comes, breaks off, or reads to the end."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is attacked. token: of somebody who may state facts; case: one of that clinic's."""

    token: str
    case: str


@dataclass(frozen=True, slots=True)
class Strike:
    """What is sent over one connection: parts, one after the other, and how the client ends. number: of requests."""

    parts: Sequence[bytes]
    end: End
    number: int = 1


def head(method: str, path: str, *headers: bytes) -> bytes:
    """Give the head of a request."""
    return b"\r\n".join((f"{method} {path} HTTP/1.1".encode(), b"Host: clinic", *headers, b"", b""))


def sized(body: bytes) -> bytes:
    """Give the header that says how long a body is."""
    return b"Content-Length: %d" % len(body)


class Attacker:
    """Draws strikes."""

    def __init__(self, target: Target, chance: Random) -> None:
        self._target = target
        self._chance = chance

    def strike(self) -> Strike:
        """Draw one: several broken requests over a connection that is kept, or something that breaks it."""
        chance = self._chance
        if chance.random() < 0.5:
            number = chance.randrange(8, 25)
            requests = [chance.choice(KEPT)(self) for _ in range(number)]
            return Strike([b"".join((*requests, self._last()))], "read", number + 1)
        return chance.choice(BREAKING)(self)

    # Pieces

    @property
    def _credential(self) -> bytes:
        return f"Authorization: Bearer {self._target.token}".encode()

    def _stating(self, body: bytes, *headers: bytes) -> bytes:
        """A request that would state a response, were its body one."""
        key = b"Idempotency-Key: %08x" % self._chance.getrandbits(32)
        kind = b"Content-Type: application/json"
        return head("POST", self._path, self._credential, key, kind, sized(body), *headers) + body

    @property
    def _path(self) -> str:
        """Where something is stated: mostly a response."""
        response = f"/v1/cases/{self._target.case}/response-submitted"
        others = ("/fhir/QuestionnaireResponse", "/v1/facts", f"/v1/cases/{self._target.case}/needs-stated")
        return response if self._chance.random() < 0.7 else self._chance.choice(others)

    def _last(self) -> bytes:
        return head("GET", "/v1/clinic", self._credential, b"Connection: close")

    def _response(self, **changes: object) -> bytes:
        said = {
            "session": 1,
            "instrument": "odsis",
            "answers": dict.fromkeys(ODSIS, 9),
            "comment": MARK,
            "answered_at": "2026-01-05T07:30:00Z",
        }
        return orjson.dumps(said | changes)

    # Requests after which the connection can go on

    def broken_json(self) -> bytes:
        """A body that is no JSON, or that is not in UTF-8."""
        whole = self._response()
        bodies = (
            whole[: self._chance.randrange(len(whole))],
            whole.decode().encode("utf-16"),
            b"\xef\xbb\xbf" + whole,
            whole.replace(MARK.encode(), b"\xff\xfe" + MARK.encode()),
            whole.replace(MARK.encode(), b"\\ud800"),
            gzip.compress(whole),
            bytes(self._chance.randbytes(200)),
            b"",
        )
        return self._stating(self._chance.choice(bodies))

    def strange_numbers(self) -> bytes:
        """Numbers that are none, or too large."""
        number = self._chance.choice((b"NaN", b"-Infinity", b"1e400", b"-0.1e-999", b"9" * 5_000, b"0x10", b"1_0"))
        return self._stating(self._response().replace(b'"session":1', b'"session":' + number))

    def deep(self) -> bytes:
        """Lists and objects within one another."""
        depth = self._chance.choice((33, 255, 1_023, 5_000, 100_000))
        opening, closing = self._chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
        nested = (opening * depth + b"1" + closing * self._chance.choice((0, depth)))[:900_000]
        said = self._chance.choice((b'"comment":%b', b'"comment":%b,"comment":"kanin"')) % nested
        return self._stating(self._response().replace(b'"comment":"kanin"', said))

    def repeated_keys(self) -> bytes:
        """The same key again and again."""
        again = b"".join(b'"session":%d,' % number for number in range(2_000))
        return self._stating(self._response().replace(b'"session":1', again + b'"session":1'))

    def strange_values(self) -> bytes:
        """JSON that is no response."""
        chance = self._chance
        strange: tuple[object, ...] = (None, True, MARK, 7.5, [], [MARK], {MARK: MARK}, "\x00", "\u202e" * 100, -1)
        field = chance.choice(("session", "instrument", "answers", "answered_at", "id", "entered_by", MARK))
        return self._stating(self._response(**{field: chance.choice(strange)}))

    def many_answers(self) -> bytes:
        """A great many of them."""
        return self._stating(self._response(answers={f"{MARK}{number}": 1 for number in range(4_000)}))

    def wrong_media(self) -> bytes:
        """Another media type, or several."""
        kinds = (b"text/xml", b"application/json; charset=utf-16", b"multipart/form-data; boundary=", b"\xe6", b"*/*")
        kind = b"Content-Type: " + self._chance.choice(kinds)
        body = self._response()
        return head("POST", self._path, self._credential, kind, sized(body)) + body

    def wrong_path(self) -> bytes:
        """A path that leads nowhere, or out of the house."""
        paths = (
            f"/v1/cases/{MARK}",
            "/v1/cases/../../etc/passwd",
            "//v1//cases",
            "/v1/cases/%00%ff%c0%af",
            "/" + "a" * 6_000,
            f"/v1/groups/?{MARK}",
            "http://elsewhere/v1/clinic",
            "/v1/cases/" + "%2e%2e%2f" * 50,
        )
        return head("GET", self._chance.choice(paths), self._credential)

    def wrong_method(self) -> bytes:
        """A method that is none here."""
        method = self._chance.choice(("TRACE", "PATCH", "PROPFIND", "DELETE", "get", "BREW", "M" * 300))
        return head(method, self._chance.choice(("/v1/cases", "*", "/openapi.json")), self._credential)

    def no_credential(self) -> bytes:
        """Somebody whom nobody knows."""
        claims = (b"Bearer ", b"Bearer " + b"x" * 4_000, b"Basic eDp5", b"Bearer \xff\xfe", b"bearer " + MARK.encode())
        body = self._response()
        return head("POST", self._path, b"Authorization: " + self._chance.choice(claims), sized(body)) + body

    def absurd_headers(self) -> bytes:
        """Many headers, long ones, and the same one twice."""
        headers = self._chance.choice(
            (
                [b"X-%d: y" % number for number in range(250)],
                [b"X: " + b"y" * 7_000],
                [self._credential] * 5,
                [b"Idempotency-Key: " + MARK.encode() * 50],
                [b"Cookie: " + b"a=b; " * 500],
                [b"X-Forwarded-For: " + MARK.encode(), b"Forwarded: for=x", b"X-Real-IP: ::1"],
                [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"],
                [b"Range: bytes=0-,1-,2-"],
            )
        )
        return head("GET", "/v1/clinic", *headers)

    # What breaks a connection

    def cut_off(self) -> Strike:
        """A request that ends somewhere in the middle."""
        whole = self._stating(self._response(comment=MARK * 50))
        cut = whole[: self._chance.randrange(1, len(whole))]
        return Strike([cut], self._chance.choice(("close", "half", "reset")))

    def too_large(self) -> Strike:
        """A body that is larger than any may be, or says that it is."""
        chance = self._chance
        declared = chance.choice((1_048_577, 1 << 30, 1 << 62, 10**25))
        begun = head("POST", self._path, self._credential, b"Content-Type: application/json")
        said = begun.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % declared)
        return Strike([said, b"[" * chance.choice((0, 1_000, 70_000))], chance.choice(("close", "reset")))

    def endless_chunks(self) -> Strike:
        """Chunks that come to no end."""
        begun = self._chunked()
        chunk = b"10000\r\n" + b"[" * 65_536 + b"\r\n"
        return Strike([begun, *[chunk] * self._chance.choice((1, 3, 20))], self._chance.choice(("close", "reset")))

    def bad_chunks(self) -> Strike:
        """Chunks that are none."""
        bad = (
            b"zz\r\n",
            b"-1\r\n",
            b"ffffffffffffffffffff\r\n",
            b"5\r\nabcdefgh\r\n0\r\n\r\n",
            b"1;" + b"x" * 20_000,
            b"5\r\n{}",
            b"0\r\n" + b"X: y\r\n" * 5_000,
            b"\x00\r\n",
        )
        return Strike([self._chunked() + self._chance.choice(bad)], self._chance.choice(("half", "reset")))

    def _chunked(self) -> bytes:
        kind = b"Content-Type: application/json"
        return head("POST", self._path, self._credential, kind, b"Transfer-Encoding: chunked")

    def no_http(self) -> Strike:
        """Something that is not HTTP at all, or not as it is spoken here."""
        spoken = (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self._chance.randbytes(200),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /v1/clinic\r\n",
            b"GET /v1/clinic HTTP/9.9\r\n\r\n",
            b"EHLO elsewhere\r\nMAIL FROM:<a@b>\r\n",
            b"\r\n" * 5_000,
            b"\x00" * 5_000,
            self._chance.randbytes(500),
            b"GET  /v1/clinic  HTTP/1.1\r\n\r\n",
        )
        return Strike([self._chance.choice(spoken)], self._chance.choice(("half", "close", "reset")))

    def bad_head(self) -> Strike:
        """A head that is too long, or says two things at once."""
        whole = self._response()
        heads = (
            head("GET", "/v1/clinic", *[b"X-%d: %b" % (number, b"y" * 200) for number in range(400)]),
            b"GET /" + b"a" * 60_000,
            head("POST", self._path, self._credential, b"Content-Length: 5", b"Content-Length: 6") + b"abcde",
            head("POST", self._path, self._credential, sized(whole), b"Transfer-Encoding: chunked")
            + b"0\r\n\r\n"
            + whole,
            head("POST", self._path, self._credential, b"Content-Length: +5") + b"abcde",
            head("POST", self._path, self._credential, b"Content-Length: " + b"9" * 6_000),
            head("GET", "/v1/clinic", b"X : y"),
            head("GET", "/v1/clinic", b"X: y", b" z"),
            head("GET", "/v1/clinic", b"X: \x00"),
        )
        return Strike([self._chance.choice(heads)], self._chance.choice(("half", "reset")))

    def expects(self) -> Strike:
        """A client that wants to be told to go on, and does not go on."""
        kind = (b"Content-Type: application/json", b"Content-Length: 100", b"Expect: 100-continue")
        return Strike([head("POST", self._path, self._credential, *kind)], self._chance.choice(("close", "reset")))

    def pipelined(self) -> Strike:
        """Many requests at once, and something else behind them."""
        requests = [head("GET", "/openapi.json", self._credential)] * self._chance.choice((2, 5))
        rest = self._chance.choice((b"", b"GET", b"\x00\x00", self._stating(self._response())[:-5]))
        return Strike([b"".join(requests) + rest], self._chance.choice(("close", "reset")), len(requests) + 1)


KEPT: Final[Sequence[Callable[[Attacker], bytes]]] = (
    *[Attacker.broken_json] * 3,
    Attacker.strange_numbers,
    Attacker.repeated_keys,
    *[Attacker.strange_values] * 3,
    Attacker.wrong_media,
    *[Attacker.wrong_path] * 2,
    Attacker.wrong_method,
    *[Attacker.no_credential] * 2,
    Attacker.absurd_headers,
    Attacker.deep,
    Attacker.many_answers,
)
BREAKING: Final[Sequence[Callable[[Attacker], Strike]]] = (
    *[Attacker.cut_off] * 4,
    Attacker.too_large,
    Attacker.endless_chunks,
    *[Attacker.bad_chunks] * 2,
    *[Attacker.no_http] * 2,
    *[Attacker.bad_head] * 2,
    Attacker.expects,
    Attacker.pipelined,
)
