#!/usr/bin/env python3
"""The one thing that is asked of MongoDB's shell: whether the server of this container answers a ping over TLS."""

import argparse
import socket
import ssl
import sys

PING = bytes.fromhex(
    "33000000 01000000 00000000 dd070000 00000000 00"
    "1e000000 10 70696e6700 01000000 02 24646200 06000000 61646d696e00 00"
)
OK = bytes.fromhex("01 6f6b00 000000000000f03f")
ASKED = "quit(db.adminCommand('ping').ok === 1 ? 0 : 1)"


def main() -> int:
    parser = argparse.ArgumentParser()
    for flag in ("--quiet", "--norc", "--tls"):
        parser.add_argument(flag, action="store_true", required=True)
    parser.add_argument("--tlsCAFile", required=True)
    parser.add_argument("--eval", choices=[ASKED], required=True)
    trusted = ssl.create_default_context(cafile=parser.parse_args().tlsCAFile)
    plain = socket.create_connection(("127.0.0.1", 27017), timeout=5)
    with trusted.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(PING)
        return 0 if OK in connection.recv(4096) else 1


if __name__ == "__main__":
    sys.exit(main())
