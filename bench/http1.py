"""As much of an HTTP client as the cases need, over a plain socket."""

import socket


class Failed(Exception):
    """What a connection or an answer lacked."""


def connect(address, limit=5.0, source=""):
    """A connection; `source` is the address it comes from, where that matters."""
    try:
        return socket.create_connection(address, limit, (source, 0) if source else None)
    except OSError as error:
        raise Failed(f"no connection to {address}: {error}") from error


def get(connection, path, headers=""):
    """Asks for a path and reads the answer into nothing; gives its length."""
    return exchange(connection, f"GET {path} HTTP/1.1\r\nHost: bench.test\r\n{headers}\r\n".encode())


def text(connection, path):
    """A short answer's body."""
    try:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError as error:
        raise Failed(f"no answer: {error}") from error
    return answer.partition(b"\r\n\r\n")[2].decode()


def exchange(connection, request):
    """Sends a request and reads the answer into nothing; gives its length."""
    try:
        connection.sendall(request)
        return read_answer(connection)
    except OSError as error:
        raise Failed(f"no answer: {error}") from error


def read_answer(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        bytes_read = connection.recv(4096)
        if not bytes_read:
            raise Failed(f"closed after {len(head)} bytes of the answer's head")
        head += bytes_read
    head, _, body = head.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise Failed(f"answered {head.splitlines()[0]!r}")
    length = content_length(head)
    discard(connection, length - len(body))
    return length


def content_length(head):
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def discard(connection, count):
    """Reads that many bytes into nothing. With MSG_TRUNC the kernel drops them without
    copying them, so that a client or a sink costs next to nothing."""
    buffer = _BUFFER if count > len(_SMALL) else _SMALL
    while count > 0:
        taken = connection.recv_into(buffer, min(count, len(buffer)), socket.MSG_TRUNC)
        if not taken:
            raise Failed(f"closed {count} bytes before the end")
        count -= taken


_SMALL = bytearray(1 << 16)
_BUFFER = bytearray(4 << 20)
