"""A real HTTP receiver on loopback: answers as told, keeps what it got. For channels that POST."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Answer:
    """What to answer. With `hang` the answer never comes until the receiver stops."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False


class Receiver:
    """Gives `answers` one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.answers = [Answer()]
        self.received: list[Received] = []
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self.url = ""

    def take(self, request: Received) -> Answer:
        """Keep a request and return what to answer."""
        with self._lock:
            self.received.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Answer a POST."""
        length = int(self.headers.get("Content-Length", 0))
        request = Received(path=self.path, headers=dict(self.headers.items()), body=self.rfile.read(length))
        answer = self.server.receiver.take(request)
        if answer.hang:
            self.server.receiver.stopped.wait(60)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def do_GET(self) -> None:
        """Answer a GET: only a followed redirect makes one."""
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """Yield a running receiver."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.receiver = Receiver()
    server.receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.receiver
    finally:
        server.receiver.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
