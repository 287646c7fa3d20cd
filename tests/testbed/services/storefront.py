"""storefront: what customers see. Every page is put together from the services behind it."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from tests.testbed.services.peers import Peer, PeerError, json_or_none
from tests.testbed.services.web import Running, build_app, customer_of

LIVE = "live_availability"
ATTEMPTS = 20
"""How often a page asks for its live availability, one right after the other."""
TEASERS = 3
"""Featured products whose availability the home page shows when it is live."""


class NewItem(BaseModel):
    """What a customer puts into the cart."""

    sku: str
    quantity: int = 1


class Availability:
    """Asks inventory whether a product can be had; a page is shown without the answer if need be.

    With the flag `live_availability` the home page asks too, and no is taken for a not yet: the page asks on
    at once, again and again. That is the retry storm.
    """

    def __init__(self, inventory: Peer, *, log: logging.Logger, flags: dict[str, Any]) -> None:
        self._inventory = inventory
        self._log = log
        self._flags = flags

    @property
    def live(self) -> bool:
        return bool(self._flags.get(LIVE))

    def of(self, sku: str) -> Any:
        """Return inventory's answer, None without one."""
        try:
            for _ in range(ATTEMPTS if self.live else 1):
                stock = json_or_none(self._inventory.get(f"/stock/{sku}"))
                if stock is not None:
                    return stock
        except PeerError as failure:
            self._log.warning("showing %s without availability: %s", sku, failure)
            return None
        self._log.info("showing %s without availability: inventory does not keep it", sku)
        return None


def build(running: Running) -> FastAPI:  # noqa: C901 - one handler a page
    """Return the gateway."""
    app = build_app(running, access_log=True)

    def peer(name: str, timeout_s: float) -> Peer:
        return Peer(
            name,
            running.urls[name],
            caller=running.service,
            tracer=running.tracer,
            meter=running.meter,
            timeout_s=timeout_s,
        )

    catalog, cart, orders = peer("catalog", 3), peer("cart", 3), peer("orders", 5)
    inventory, checkout = peer("inventory", 4), peer("checkout", 12)

    availability = Availability(inventory, log=running.log, flags=running.flags)

    @app.get("/")
    def home() -> Any:
        featured = json_or_none(catalog.get("/products"))
        for product in featured[:TEASERS] if availability.live else ():
            product["stock"] = availability.of(product["sku"])
        return {"featured": featured}

    @app.get("/search")
    def search(q: str) -> Any:
        return {"query": q, "results": json_or_none(catalog.get("/search", q=q))}

    @app.get("/products/{sku}")
    def product(sku: str) -> Any:
        found = json_or_none(catalog.get(f"/products/{sku}"))
        if found is None:
            raise HTTPException(404, "no such product")
        stock = availability.of(sku)
        return {"product": found, "stock": stock}

    @app.get("/cart")
    def show_cart(request: Request) -> Any:
        return json_or_none(cart.get(f"/carts/{customer_of(request)}"))

    @app.post("/cart/items")
    def add_item(request: Request, item: NewItem) -> Any:
        answer = cart.post(f"/carts/{customer_of(request)}/items", item.model_dump())
        if answer.status_code == 404:
            raise HTTPException(404, "no such product")
        return json_or_none(answer)

    @app.post("/checkout", status_code=201)
    def place_order(request: Request) -> Any:
        answer = checkout.post("/checkout", {"customer": customer_of(request)})
        if answer.status_code >= 400:
            raise HTTPException(answer.status_code, answer.json().get("detail"))
        return json_or_none(answer)

    @app.get("/orders")
    def my_orders(request: Request) -> Any:
        return json_or_none(orders.get("/orders", customer=customer_of(request)))

    return app
