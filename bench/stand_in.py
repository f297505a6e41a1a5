#!/usr/bin/env python3
"""A replica of a few lines: it answers GET from a file's bytes and discards uploads.

usage: bench/stand_in.py FILE ADDRESS:PORT...

The sink of the uploads, for which NGINX would read 4 KiB at a time, and every
replica where NGINX is missing. GET /large is FILE, /_requests counts the requests as
NGINX's stub_status does, everything else is short.
"""

import itertools
import os
import socket
import sys
import threading

from http1 import Failed, content_length, discard

PING = b'{"Error":"","Healthy":true}'
SMALL = b"x" * 1024
requests = itertools.count(1)


def main():
    large = os.open(sys.argv[1], os.O_RDONLY)
    listeners = []
    for place in sys.argv[2:]:
        address, _, port = place.rpartition(":")
        listeners.append(socket.create_server((address, int(port)), backlog=4096))
    threading.stack_size(256 * 1024)
    for listener in listeners[1:]:
        threading.Thread(target=accept, args=(listener, large), daemon=True).start()
    accept(listeners[0], large)


def accept(listener, large):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, large), daemon=True).start()


def serve(connection, large):
    """One connection, to its end."""
    with connection:
        try:
            while answer(connection, large):
                pass
        except (OSError, Failed):
            pass


def answer(connection, large):
    """One request; gives whether another may follow."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(1 << 16)
        if not more:
            return False
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    discard(connection, content_length(head) - len(body))
    last = b"connection: close" in head.lower()
    path = head.split(b" ", 2)[1]
    size = os.fstat(large).st_size
    number = next(requests)
    status = b"Active connections: 1\nserver accepts handled requests\n 0 0 %d\n" % number
    body = {b"/_ping": PING, b"/large": b"", b"/_requests": status}.get(path, SMALL)
    length = size if path == b"/large" else len(body)
    closing = b"Connection: close\r\n" if last else b""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (length, closing, body))
    offset = 0
    while path == b"/large" and offset < size:
        offset += os.sendfile(connection.fileno(), large, offset, size - offset)
    return not last


if __name__ == "__main__":
    main()
