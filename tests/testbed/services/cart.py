"""cart: one Redis hash a customer; prices come from the catalogue when an item is added.

A cart that was filled a short time ago and is gone from Redis is an error, not an empty cart.
"""

from __future__ import annotations

import json
import math
import time
from decimal import Decimal
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from tests.testbed.services.cart_prices import PriceWatch
from tests.testbed.services.peers import Peer, json_or_none
from tests.testbed.services.stores import Cache
from tests.testbed.services.web import Running, build_app

KEEP_S = 1800


class Item(BaseModel):
    """A product and how many of it."""

    sku: str
    quantity: int


def build(running: Running) -> FastAPI:
    """Return the cart service."""
    app = build_app(running)
    log = running.log
    cache = Cache(running.urls["redis"], tracer=running.tracer)
    catalog = Peer(
        "catalog",
        running.urls["catalog"],
        caller=running.service,
        tracer=running.tracer,
        meter=running.meter,
    )
    PriceWatch(running.flags).start()

    def load(customer: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in cache.command("HVALS", f"cart:{customer}")]

    filled: dict[str, float] = {}

    @app.get("/carts/{customer}")
    def show(customer: str) -> Any:
        lines = load(customer)
        if not lines and time.monotonic() - filled.get(customer, -math.inf) < KEEP_S:
            ago = time.monotonic() - filled[customer]
            log.error("cart of %s is not in Redis any more, it was filled %d s ago", customer, round(ago))
            raise HTTPException(500, "the cart is lost")
        total = sum((Decimal(line["price"]) * line["quantity"] for line in lines), Decimal(0))
        return {"customer": customer, "lines": lines, "total": str(total)}

    @app.post("/carts/{customer}/items")
    def add(customer: str, item: Item) -> Any:
        product = json_or_none(catalog.get(f"/products/{item.sku}"))
        if product is None:
            raise HTTPException(404, "no such product")
        line = {"sku": item.sku, "quantity": item.quantity, "price": product["price"]}
        cache.command("HSET", f"cart:{customer}", item.sku, json.dumps(line))
        cache.command("EXPIRE", f"cart:{customer}", KEEP_S)
        filled[customer] = time.monotonic()
        log.info("cart of %s: added %d x %s at %s EUR", customer, item.quantity, item.sku, product["price"])
        return {"lines": len(load(customer))}

    @app.delete("/carts/{customer}")
    def clear(customer: str) -> Any:
        filled.pop(customer, None)
        removed = cache.command("DEL", f"cart:{customer}")
        log.info("cart of %s emptied", customer)
        return {"removed": removed}

    return app
