"""A device that does not trust this computer: it only sends adb tokens to sign.

    python stranger.py PORT

Debian's daemon `adbd` asks for no authorization, so this program implements the beginning of adb's
protocol itself.
"""

import os
import socket
import struct
import sys

_HEADER = struct.Struct("<6I")
_CONNECT, _AUTH = (int.from_bytes(name, "little") for name in (b"CNXN", b"AUTH"))
_TOKEN, _SIGNATURE = 1, 2


def received(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise ConnectionError
        content += part
    return content


def serve(connection: socket.socket) -> None:
    """A token for each message that may be answered by one; the key itself gets no answer."""
    while True:
        command, kind, _, size, _, _ = _HEADER.unpack(received(connection, _HEADER.size))
        received(connection, size)
        if command == _CONNECT or (command == _AUTH and kind == _SIGNATURE):
            token = os.urandom(20)
            head = (_AUTH, _TOKEN, 0, len(token), sum(token), _AUTH ^ 0xFFFFFFFF)
            connection.sendall(_HEADER.pack(*head) + token)


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                try:
                    serve(connection)
                except ConnectionError:
                    continue


if __name__ == "__main__":
    main()
