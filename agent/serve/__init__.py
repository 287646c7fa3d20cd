"""HTTP: the API for incident tools and the page for people."""

from agent.serve.api import create_app
from agent.serve.deps import Deps
from agent.serve.server import RunningServer, ServeError, run_server
from agent.serve.show import page_file, serve_pages

__all__ = ["Deps", "RunningServer", "ServeError", "create_app", "page_file", "run_server", "serve_pages"]
