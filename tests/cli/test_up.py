"""What `ontrack up` says of a port at which it cannot listen."""

import errno
import os

import pytest

from services.cli.up import why_not_at


@pytest.mark.parametrize(
    ("number", "port", "says"),
    [
        (errno.EADDRINUSE, 8080, "a port that nobody else listens at was expected (Address already in use)"),
        (errno.EACCES, 80, "lets this user listen at no such port (Permission denied): one from 1024 on was expected"),
        (errno.EADDRNOTAVAIL, 8080, "nobody can listen at 127.0.0.1:8080 (Cannot assign requested address)"),
    ],
)
def test_why_a_port_is_not_to_be_had_is_said(number: int, port: int, says: str) -> None:
    assert says in why_not_at(port, OSError(number, os.strerror(number)))
