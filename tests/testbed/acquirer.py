"""The card acquirer: a company outside the shop, so a process without telemetry of its own.

`python -m tests.testbed.acquirer PORT SEED`. It answers in some 40 ms; `POST /_latency {"seconds": 2.5}`
makes it that much slower on average until set back to 0.
"""

from __future__ import annotations

import json
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPICAL_S = 0.04
DECLINED = 0.02


class Acquirer(ThreadingHTTPServer):
    """The acquirer's front door."""

    daemon_threads = True

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(("127.0.0.1", port), Desk)
        self.chance = random.Random(seed)
        self.extra_s = 0.0

    def think(self) -> None:
        """Take as long as an authorization takes today."""
        seconds = TYPICAL_S * self.chance.lognormvariate(0, 0.3)
        if self.extra_s:
            seconds += self.extra_s * self.chance.lognormvariate(0, 0.35)
        time.sleep(seconds)


class Desk(BaseHTTPRequestHandler):
    """One request."""

    server: Acquirer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/_latency":
            self.server.extra_s = float(asked["seconds"])
            self._answer({})
            return
        self.server.think()
        approved = self.server.chance.random() >= DECLINED
        code = f"A{self.server.chance.randrange(10**6):06d}" if approved else "insufficient_funds"
        self._answer({"approved": approved, "code": code})

    def _answer(self, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the acquirer's log is not ours to see."""


if __name__ == "__main__":
    Acquirer(int(sys.argv[1]), int(sys.argv[2])).serve_forever()
