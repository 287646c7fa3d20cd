"""inventory: how many of each product there are, and reservations, in PostgreSQL.

The stock audit (flag `stock_audit`, off in production) takes a connection of its own and has a bug: an
audit that finds nothing wrong keeps its connection. That is how the pool leaks.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException
from psycopg import Connection
from pydantic import BaseModel

from tests.testbed.services.stores import Database, Row, Statements
from tests.testbed.services.web import Running, build_app

LOW = 20
POOL_SIZE = 10


class Line(BaseModel):
    """A product and how many of it are wanted."""

    sku: str
    quantity: int


class Reservation(BaseModel):
    """What an order sets aside."""

    reference: str
    lines: list[Line]


class StockAudit:
    """Compares stock with its bookkeeping, one product at a time, beside the request that triggers it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: list[Connection[Row]] = []

    def check(self, sku: str) -> bool:
        """Return whether stock and reservations of a product agree. Raises PoolTimeout."""
        connection = self._database.pool.getconn()
        self._open.append(connection)
        row = Statements(connection, self._database.tracer).run(
            "SELECT quantity >= 0 AND reserved >= 0 AS sound FROM stock WHERE sku = %s", sku
        )[0]
        if row["sound"]:
            return True
        self._open.remove(connection)
        self._database.pool.putconn(connection)
        return False


def _reserve(statements: Statements, line: Line) -> int | None:
    rows = statements.run(
        "UPDATE stock SET quantity = quantity - %s, reserved = reserved + %s"
        " WHERE sku = %s AND quantity >= %s RETURNING quantity",
        line.quantity,
        line.quantity,
        line.sku,
        line.quantity,
    )
    return int(rows[0]["quantity"]) if rows else None


def build(running: Running) -> FastAPI:
    """Return the inventory service."""
    app = build_app(running)
    log = running.log
    database = Database(
        running.urls["postgres"],
        service=running.service,
        tracer=running.tracer,
        meter=running.meter,
        size=POOL_SIZE,
    )
    audit = StockAudit(database)

    @app.get("/stock/{sku}")
    def stock(sku: str) -> Any:
        with database.transaction() as statements:
            rows = statements.run("SELECT quantity, reserved FROM stock WHERE sku = %s", sku)
        if not rows:
            raise HTTPException(404, "no such product")
        if running.flags.get("stock_audit"):
            audit.check(sku)
        return {"available": rows[0]["quantity"] > 0, "low": rows[0]["quantity"] < LOW}

    @app.post("/reservations", status_code=201)
    def reserve(wanted: Reservation) -> Any:
        with database.transaction() as statements:
            for line in sorted(wanted.lines, key=lambda line: line.sku):
                left = _reserve(statements, line)
                if left is None:
                    log.warning(
                        "order %s wants %d x %s: not in stock", wanted.reference, line.quantity, line.sku
                    )
                    raise HTTPException(409, "out of stock")
                if left < LOW:
                    statements.run("UPDATE stock SET quantity = quantity + 200 WHERE sku = %s", line.sku)
                    log.info("%s is low (%d left), reordered 200", line.sku, left)
                statements.run(
                    "INSERT INTO reservations (reference, sku, quantity) VALUES (%s, %s, %s)"
                    " ON CONFLICT DO NOTHING",
                    wanted.reference,
                    line.sku,
                    line.quantity,
                )
        log.info("reserved %d lines for order %s", len(wanted.lines), wanted.reference)
        return {"reference": wanted.reference}

    @app.post("/reservations/{reference}/release")
    def release(reference: str) -> Any:
        with database.transaction() as statements:
            lines = statements.run(
                "DELETE FROM reservations WHERE reference = %s RETURNING sku, quantity", reference
            )
            for line in sorted(lines, key=lambda line: str(line["sku"])):
                statements.run(
                    "UPDATE stock SET quantity = quantity + %s, reserved = reserved - %s WHERE sku = %s",
                    line["quantity"],
                    line["quantity"],
                    line["sku"],
                )
        log.info("released %d lines of order %s", len(lines), reference)
        return {"released": len(lines)}

    return app
