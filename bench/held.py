"""Connections that are held, and a storm of new ones at a fixed rate."""

import select
import socket
import time

import http1

SOURCES = [f"127.0.0.{last}" for last in range(2, 18)]  # Each has some 28,000 ports.
REQUEST = b"GET /small HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n"


class Held:
    """Connections that were each served a request, and are quiet since."""

    def __init__(self, address):
        self.address, self.connections = address, []

    def hold(self, count):
        """Holds this many in all."""
        try:
            for number in range(len(self.connections), count):
                one = http1.connect(self.address, source=SOURCES[number % len(SOURCES)])
                self.connections.append(one)
                http1.get(one, "/small")
        except http1.Failed as failure:
            held = len(self.connections)
            self.close()
            raise http1.Failed(f"with {held} of {count} connections held: {failure}") from failure

    def lost(self, limit=30.0):
        """Asks on each again; gives how many do not answer. Those that are not asked
        within the limit count too, since others took so long."""
        end, answered = time.monotonic() + limit, 0
        for one in self.connections:
            if time.monotonic() > end:
                break
            try:
                http1.get(one, "/small")
                answered += 1
            except http1.Failed:
                pass
        return len(self.connections) - answered

    def close(self):
        for one in self.connections:
            one.close()
        self.connections = []


class Storm:
    """New connections at a fixed rate, each with one request, whether or not earlier ones
    were served. The time of each counts from when it was due."""

    LIMIT = 5.0

    def __init__(self, address, rate, seconds):
        self.address, self.rate, self.total = address, rate, int(rate * seconds)
        self.epoll, self.open = select.epoll(), {}
        self.started = self.failed = 0
        self.took = []  # Seconds, of those that were served.
        self._run()

    def percentile(self, part):
        """In milliseconds; 100 is the slowest, and 0 without any."""
        took = sorted(self.took)
        return took[min(len(took) - 1, len(took) * part // 100)] * 1000 if took else 0.0

    def _run(self):
        self.begun = time.monotonic()
        try:
            while self.started < self.total or self.open:
                self._start_what_is_due()
                for descriptor, event in self.epoll.poll(self._pause()):
                    self._go_on(descriptor, event)
                self._give_up_on_old()
        finally:
            for one, *_ in self.open.values():
                one.close()
            self.epoll.close()

    def _start_what_is_due(self):
        now = time.monotonic()
        while self.started < self.total and (due := self.begun + self.started / self.rate) <= now:
            source = SOURCES[self.started % len(SOURCES)]
            self.started += 1
            one = socket.socket()
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            one.bind((source, 0))
            one.connect_ex(self.address)
            self.open[one.fileno()] = (one, due, bytearray())
            self.epoll.register(one.fileno(), select.EPOLLOUT)

    def _pause(self):
        """Until the next is due, but no longer than 10 ms, so that limits are kept."""
        if self.started == self.total:
            return 0.01
        return min(max(self.begun + self.started / self.rate - time.monotonic(), 0), 0.01)

    def _go_on(self, descriptor, event):
        one, _, received = self.open[descriptor]
        try:
            if event & select.EPOLLOUT:  # It is connected, or could not be.
                one.sendall(REQUEST)
                self.epoll.modify(descriptor, select.EPOLLIN)
                return
            more = one.recv(4096)
            received += more
            if not more:
                self._finish(descriptor, received.startswith(b"HTTP/1.1 200") and received.endswith(b"x" * 1024))
        except OSError:
            self._finish(descriptor, served=False)

    def _finish(self, descriptor, served):
        one, due, _ = self.open.pop(descriptor)
        one.close()
        self.failed += not served
        if served:
            self.took.append(time.monotonic() - due)

    def _give_up_on_old(self):
        """They are in the order in which they were due."""
        oldest = time.monotonic() - self.LIMIT
        while self.open and next(iter(self.open.values()))[1] < oldest:
            self._finish(next(iter(self.open)), served=False)


IP_BIND_ADDRESS_NO_PORT = 24  # Of linux/in.h; the port is chosen at connect.
