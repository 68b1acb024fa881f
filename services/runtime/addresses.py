"""Hosts, ports and URLs, as whoever sets them may write them."""

import ipaddress
import re
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

LAST_PORT: Final = 65_535
_HTTP_URL: Final = re.compile(r"https?://[^\s@?#]+", re.IGNORECASE)
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_PORTS: Final = {"http": 80, "https": 443}


def is_this_machine(url: str) -> bool:
    """Tell whether what goes to a server never leaves this machine."""
    return all(is_loopback(urlsplit(f"//{server}").hostname or "") for server in urlsplit(url).netloc.split(","))


def server_of(url: str) -> str:
    """Give the HOST:PORT that an http:// or https:// URL leads to. Raises ValueError, which says nothing of it."""
    with suppress(ValueError):
        said = urlsplit(url)
        host, port = said.hostname or "", _PORTS.get(said.scheme, 0) if said.port is None else said.port
        if _HTTP_URL.fullmatch(url) and _is_host(host) and port > 0:
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    raise ValueError


def require_host(text: str) -> str:
    """Make sure that a text is the name or the address of a host. Raises ValueError, which says nothing of it."""
    with suppress(ValueError):
        if _is_host(text):
            return text
    raise ValueError


def _is_host(text: str) -> bool:
    """Tell whether a text is the name or the address of a host. Raises ValueError."""
    if ":" in text:
        return ipaddress.IPv6Address(text).scope_id is None
    return _HOST_NAME.fullmatch(text.encode("idna").decode()) is not None


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, whoever asks."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
