"""A small server that speaks OpenAI's chat protocol in front of any chat model, for contract tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

_ROLES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


class OpenAiServer(ThreadingHTTPServer):
    """Answers `/v1/chat/completions` with a model; `trouble` makes it fail instead."""

    daemon_threads = True

    def __init__(self, model: BaseChatModel) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        self.trouble: tuple[int, dict[str, Any]] | None = None
        self.delay = 0.0
        self.payloads: list[dict[str, Any]] = []
        self.keys: list[str] = []

    @property
    def base_url(self) -> str:
        """The base URL with `/v1`."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: OpenAiServer

    def do_POST(self) -> None:
        """Answer one chat."""
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.payloads.append(payload)
        self.server.keys.append(self.headers.get("Authorization", ""))
        time.sleep(self.server.delay)
        if self.server.trouble is not None:
            self._send(*self.server.trouble)
            return
        names = {"max_completion_tokens": "max_tokens", "response_format": "response_format"}
        settings = {ours: payload[theirs] for theirs, ours in names.items() if theirs in payload}
        turns = [_ROLES[turn["role"]](turn["content"]) for turn in payload["messages"]]
        self._send(200, _completion(self.server.model.invoke(turns, **settings)))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            self.close_connection = True  # the client gave up, as tests of its deadline want

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Stay quiet."""


def _completion(message: AIMessage) -> dict[str, Any]:
    usage = message.usage_metadata
    assert usage is not None
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": message.response_metadata["model_name"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": str(message.text)},
                "finish_reason": message.response_metadata["finish_reason"],
            }
        ],
        "usage": {
            "prompt_tokens": usage["input_tokens"],
            "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
        },
    }


@contextmanager
def serving(model: BaseChatModel) -> Iterator[OpenAiServer]:
    """Run the server in a thread for the length of a block."""
    server = OpenAiServer(model)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
