"""The network in front of a service: the flag `network_loss` says what share of requests it loses.

What is lost never reaches the service, which therefore knows nothing of it: half of it the caller sees as a
connection that was reset, half as an answer that does not come.
"""

from __future__ import annotations

import random
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

LOSS = "network_loss"
_METHODS = (b"GET ", b"POST ", b"DELETE ")
RESET = 0.5
"""Share of what is lost that is reset at once."""


def network_of(flags: dict[str, Any]) -> type[H11Protocol]:
    """Return the connection class of a service whose flags these are; they may change at any time."""

    class Connection(H11Protocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._gone = False

        def data_received(self, data: bytes) -> None:
            if self._gone:
                return
            if _begins_request(data) and random.random() < float(flags.get(LOSS, 0)):
                if random.random() < RESET:
                    self.transport.abort()
                else:
                    self._gone = True
                return
            super().data_received(data)

    return Connection


def _begins_request(data: bytes) -> bool:
    """Tell the first bytes of a customer's request; the testbed's own (`/_`) must arrive."""
    return data.startswith(_METHODS) and b" /_" not in data[:16]
