"""payments: charges cards at an outside acquirer, over the acquirer's own protocol and few connections.

The acquirer's client is a vendor's: it makes no spans, so its time is payments' own time in a trace.
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from tests.testbed.services.stores import Cache
from tests.testbed.services.web import Running, build_app

CONNECTIONS = 6
ACQUIRER_TIMEOUT_S = 10.0
SLOW_S = 1.0


class Charge(BaseModel):
    """An amount to take from a customer's card."""

    reference: str
    customer: str
    amount: str


class AcquirerError(Exception):
    """The acquirer could not be asked."""


class Acquirer:
    """The vendor's client: one request a connection, at most `CONNECTIONS` at a time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._slots = threading.BoundedSemaphore(CONNECTIONS)

    def authorize(self, charge: Charge) -> dict[str, Any]:
        """Ask for an authorization. Raises AcquirerError on a time-out or a broken connection."""
        with self._slots:
            connection = http.client.HTTPConnection(self._address, timeout=ACQUIRER_TIMEOUT_S)
            try:
                connection.request("POST", "/authorize", json.dumps(charge.model_dump()))
                answer: dict[str, Any] = json.loads(connection.getresponse().read())
            except (OSError, http.client.HTTPException) as error:
                raise AcquirerError(f"acquirer: {error}") from error
            finally:
                connection.close()
        return answer


def build(running: Running) -> FastAPI:
    """Return the payment service."""
    app = build_app(running)
    log = running.log
    acquirer = Acquirer(running.urls["acquirer"])
    cache = Cache(running.urls["redis"], tracer=running.tracer)
    seconds = running.meter.create_histogram("payments.acquirer.duration", unit="s")
    results = running.meter.create_counter("payments.charges", unit="{charge}")

    @app.post("/charges", status_code=201)
    def charge(wanted: Charge) -> Any:
        started = time.perf_counter()
        try:
            answer = acquirer.authorize(wanted)
        except AcquirerError as error:
            results.add(1, {"outcome": "failed"})
            log.exception("charge for order %s failed", wanted.reference)
            raise HTTPException(502, "acquirer not available") from error
        took = time.perf_counter() - started
        seconds.record(took)
        if took > SLOW_S:
            log.warning(
                "acquirer took %d ms to authorize order %s, expected below %d ms",
                round(took * 1000),
                wanted.reference,
                round(SLOW_S * 1000),
            )
        if not answer["approved"]:
            results.add(1, {"outcome": "declined"})
            log.info(
                "charge of %s EUR for order %s declined: %s", wanted.amount, wanted.reference, answer["code"]
            )
            raise HTTPException(402, "payment declined")
        name = f"ch_{secrets.token_hex(6)}"
        cache.command("SETEX", f"charge:{name}", 3600, wanted.model_dump_json())
        results.add(1, {"outcome": "approved"})
        log.info(
            "charge %s of %s EUR approved for order %s, code %s, %d ms",
            name,
            wanted.amount,
            wanted.reference,
            answer["code"],
            round(took * 1000),
        )
        return {"charge": name}

    @app.post("/charges/{name}/refund")
    def refund(name: str) -> Any:
        found = cache.command("GETDEL", f"charge:{name}")
        log.info("charge %s refunded" if found else "charge %s was refunded before", name)
        return {"refunded": bool(found)}

    return app
