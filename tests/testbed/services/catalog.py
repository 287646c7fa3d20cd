"""catalog: products from PostgreSQL, single ones kept in Redis for half a minute."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, HTTPException

from tests.testbed.services.catalog_similar import SimilarProducts
from tests.testbed.services.stores import Cache, Database
from tests.testbed.services.web import Running, build_app

KEEP_S = 30


def build(running: Running) -> FastAPI:
    """Return the catalogue service."""
    app = build_app(running)
    log = running.log
    database = Database(
        running.urls["postgres"], service=running.service, tracer=running.tracer, meter=running.meter
    )
    cache = Cache(running.urls["redis"], tracer=running.tracer)
    SimilarProducts(database, running.flags).start()
    lookups = running.meter.create_counter("catalog.cache.lookups", unit="{lookup}")

    @app.get("/products")
    def featured() -> Any:
        with database.transaction() as statements:
            return statements.run(
                "SELECT sku, name, category, price::text AS price FROM products ORDER BY sales DESC LIMIT 12"
            )

    @app.get("/products/{sku}")
    def product(sku: str) -> Any:
        known = cache.command("GET", f"product:{sku}")
        lookups.add(1, {"result": "hit" if known else "miss"})
        if known:
            return json.loads(known)
        with database.transaction() as statements:
            rows = statements.run(
                "SELECT sku, name, category, price::text AS price, description FROM products WHERE sku = %s",
                sku,
            )
        if not rows:
            log.info("product %s does not exist", sku)
            raise HTTPException(404, "no such product")
        cache.command("SETEX", f"product:{sku}", KEEP_S, json.dumps(rows[0]))
        log.info("product %s loaded from database, cached for %ds", sku, KEEP_S)
        return rows[0]

    @app.get("/search")
    def search(q: str) -> Any:
        with database.transaction() as statements:
            rows = statements.run(
                "SELECT sku, name, price::text AS price FROM products"
                " WHERE name ILIKE %s OR description ILIKE %s ORDER BY sales DESC LIMIT 20",
                f"%{q}%",
                f"%{q}%",
            )
        log.info("search '%s' found %d products", q, len(rows))
        return rows

    return app
