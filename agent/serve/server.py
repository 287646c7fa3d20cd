"""uvicorn on a thread of its own, without signal handlers: who started it also stops it."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

_POLL = 0.02
_GRACE = 5
"""Seconds that open requests may take once it is told to stop."""


class ServeError(Exception):
    """The server cannot listen there; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that answers. `port` is the real one, also where 0 was asked for."""

    port: int
    _server: uvicorn.Server
    _thread: threading.Thread

    def stop(self) -> None:
        """Take no more requests, finish those under way (at most some seconds), and end."""
        self._server.should_exit = True
        self._thread.join(2.0 * _GRACE)


def run_server(app: ASGIApp, host: str, port: int) -> RunningServer:
    """Return once `app` answers on (host, port). Raises `ServeError` when nobody can listen there."""
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="http", daemon=True)
    thread.start()
    while not server.started:
        thread.join(_POLL)
        if not thread.is_alive():
            listening.close()
            raise ServeError("the HTTP server ended while it started; its log says why")
    return RunningServer(port=int(listening.getsockname()[1]), _server=server, _thread=thread)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as undo:
            listening = undo.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
            undo.pop_all()
            return listening
    except OSError as error:
        raise ServeError(
            f"cannot listen on {host}:{port} ({error.strerror}); "
            "set http.host and http.port to a free address"
        ) from error
