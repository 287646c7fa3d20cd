"""An incident's page without the whole service: as one file, or served over a store until Ctrl-C."""

from __future__ import annotations

import threading
import time

from rich.console import Console

from agent.deliver.view import incident_url
from agent.serve.access import is_loopback
from agent.serve.api import create_app
from agent.serve.deps import Deps, ReadStore
from agent.serve.pages import pages
from agent.serve.server import RunningServer, ServeError, run_server
from ingest.record import Nanos


def page_file(store: ReadStore, incident_id: str, now: Nanos) -> str:
    """Return an incident's page as one HTML document. Raises LookupError when there is no such incident."""
    page = pages().incident(store, incident_id, now, alone=True)
    if page is None:
        raise LookupError(f"there is no incident {incident_id} in this store")
    return page


def serve_pages(host: str, port: int, store: ReadStore, incident_id: str, console: Console) -> None:
    """Serve API and pages over `store` until Ctrl-C; the page's URL is printed.

    There is no key here, so it listens on loopback only; when `port` is taken, on a free one.
    """
    # Named so that a browser's address and the guard agree.
    bound = host if is_loopback(host) else "127.0.0.1"
    server = _started(bound, port, store)
    try:
        named = f"[{bound}]" if ":" in bound else bound
        url = incident_url(f"http://{named}:{server.port}", incident_id)
        console.print(f"incident page: {url}", soft_wrap=True, highlight=False, markup=False)
        console.print("Ctrl-C ends it.", style="dim")
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("")
    finally:
        server.stop()


def _started(host: str, port: int, store: ReadStore) -> RunningServer:
    deps = Deps(
        store=store,
        submit=None,
        ready=lambda: {"store": None},
        metrics=lambda: (),
        api_key=None,
        public_url=None,
        now=time.time_ns,
    )
    app = create_app(deps)
    try:
        return run_server(app, host, port)
    except ServeError:
        return run_server(app, host, 0)
