"""checkout: reserve, charge, book, in this order; what was done is undone when a later step fails."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from tests.testbed.services.journal import Journal, JournalError, watch_volume
from tests.testbed.services.peers import Peer, PeerError, json_or_none
from tests.testbed.services.web import Running, build_app


class Wish(BaseModel):
    """Whose cart is to become an order."""

    customer: str


class Checkout:
    """The steps of an order and their undoing."""

    def __init__(self, running: Running, journal: Journal) -> None:
        def peer(name: str, timeout_s: float) -> Peer:
            return Peer(
                name,
                running.urls[name],
                caller=running.service,
                tracer=running.tracer,
                meter=running.meter,
                timeout_s=lambda: float(running.configuration.get(f"{name}.timeout_s", timeout_s)),
            )

        self._log = running.log
        self._journal = journal
        self._cart, self._inventory = peer("cart", 2), peer("inventory", 4)
        self._payments, self._orders = peer("payments", 5), peer("orders", 4)
        self._finished = running.meter.create_counter("checkout.orders", unit="{order}")

    def order(self, customer: str) -> dict[str, Any]:
        """Place the order. Raises HTTPException 4xx for what the customer can mend, else PeerError."""
        basket = json_or_none(self._cart.get(f"/carts/{customer}"))
        if not basket["lines"]:
            self._log.warning("checkout of %s refused: the cart is empty", customer)
            raise HTTPException(400, "the cart is empty")
        reference = f"o-{secrets.token_hex(5)}"
        self._log.info(
            "checkout %s of %s: %d lines, %s EUR", reference, customer, len(basket["lines"]), basket["total"]
        )
        self._note(reference, "begun", basket)
        self._reserve(reference, basket)
        charge = self._charge(reference, customer, basket)
        self._book(reference, customer, basket, charge)
        self._cart.delete(f"/carts/{customer}")
        self._finished.add(1, {"outcome": "placed"})
        self._log.info(
            "order %s placed for %s, confirmation to %s@example.com", reference, customer, customer
        )
        return {"order": reference, "total": basket["total"]}

    def _note(self, reference: str, state: str, basket: dict[str, Any]) -> None:
        """Write the journal before anything is done: an order that cannot be noted is not begun."""
        try:
            self._journal.append(json.dumps({"reference": reference, "state": state, **basket}))
        except JournalError:
            self._fail(reference, "the journal cannot be written")
            raise

    def _reserve(self, reference: str, basket: dict[str, Any]) -> None:
        try:
            answer = self._inventory.post(
                "/reservations", {"reference": reference, "lines": basket["lines"]}, tries=2
            )
        except PeerError:
            self._fail(reference, "reservation failed")
            raise
        if answer.status_code == 409:
            self._fail(reference, "out of stock")
            raise HTTPException(409, "out of stock")
        json_or_none(answer)

    def _charge(self, reference: str, customer: str, basket: dict[str, Any]) -> str:
        try:
            answer = self._payments.post(
                "/charges", {"reference": reference, "customer": customer, "amount": basket["total"]}
            )
        except PeerError:
            self._fail(reference, "payment failed")
            self._undo("reservation", self._inventory, f"/reservations/{reference}/release")
            raise
        if answer.status_code == 402:
            self._fail(reference, "payment declined")
            self._undo("reservation", self._inventory, f"/reservations/{reference}/release")
            raise HTTPException(402, "payment declined")
        return str(json_or_none(answer)["charge"])

    def _book(self, reference: str, customer: str, basket: dict[str, Any], charge: str) -> None:
        order = {"reference": reference, "customer": customer, "charge": charge, **basket}
        try:
            json_or_none(self._orders.post("/orders", order))
        except PeerError:
            self._fail(reference, "order could not be booked")
            self._undo("charge", self._payments, f"/charges/{charge}/refund")
            self._undo("reservation", self._inventory, f"/reservations/{reference}/release")
            raise

    def _fail(self, reference: str, reason: str) -> None:
        self._finished.add(1, {"outcome": "failed"})
        self._log.warning("checkout %s stopped: %s", reference, reason)

    def _undo(self, what: str, peer: Peer, path: str) -> None:
        try:
            peer.post(path, {}, tries=2)
        except PeerError as failure:
            self._log.error("could not undo %s, left to the nightly clean-up: %s", what, failure)


def build(running: Running) -> FastAPI:
    """Return the checkout service."""
    app = build_app(running)
    folder = Path(running.volume)
    journal = Journal(folder, log=running.log, flags=running.flags)
    journal.start()
    if folder.is_mount():
        watch_volume(running.meter, folder)
    checkout = Checkout(running, journal)

    @app.post("/checkout", status_code=201)
    def order(wish: Wish) -> Any:
        return checkout.order(wish.customer)

    return app
