"""orders: books what was paid, in PostgreSQL. From version 2.4.0 on it also grants loyalty points.

2.4.0 knows the tiers of its test data and not all of those that customers have: that is the bad deploy.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from tests.testbed.services.stores import Database, Statements
from tests.testbed.services.web import Running, build_app

LOYALTY_SINCE = (2, 4, 0)
POINTS_PER_EURO = {"basic": Decimal(1), "silver": Decimal("1.5")}


class Order(BaseModel):
    """A paid order."""

    reference: str
    customer: str
    charge: str
    total: str
    lines: list[dict[str, Any]]


def loyalty_points(total: Decimal, tier: str) -> int:
    """Return the points an order earns."""
    return int(total * POINTS_PER_EURO[tier])


def _grant_points(statements: Statements, order: Order) -> int:
    customer = statements.run("SELECT tier FROM customers WHERE id = %s", order.customer)[0]
    points = loyalty_points(Decimal(order.total), customer["tier"])
    statements.run("UPDATE customers SET points = points + %s WHERE id = %s", points, order.customer)
    return points


def build(running: Running) -> FastAPI:
    """Return the order service."""
    app = build_app(running)
    log = running.log
    database = Database(
        running.urls["postgres"], service=running.service, tracer=running.tracer, meter=running.meter
    )
    revenue = running.meter.create_counter("orders.revenue", unit="EUR")

    @app.post("/orders", status_code=201)
    def book(order: Order) -> Any:
        with database.transaction() as statements:
            statements.run(
                "INSERT INTO orders (reference, customer, charge, total) VALUES (%s, %s, %s, %s)",
                order.reference,
                order.customer,
                order.charge,
                Decimal(order.total),
            )
            for line in order.lines:
                statements.run(
                    "INSERT INTO order_lines (reference, sku, quantity) VALUES (%s, %s, %s)",
                    order.reference,
                    line["sku"],
                    line["quantity"],
                )
            points = _grant_points(statements, order) if running.version >= LOYALTY_SINCE else 0
        revenue.add(float(order.total))
        log.info("order %s booked: %d lines, %s EUR", order.reference, len(order.lines), order.total)
        if points:
            log.info("order %s earned %d loyalty points", order.reference, points)
        return {"reference": order.reference}

    @app.get("/orders")
    def of_customer(customer: str) -> Any:
        with database.transaction() as statements:
            return statements.run(
                "SELECT reference, total::text AS total, placed::text AS placed FROM orders"
                " WHERE customer = %s ORDER BY placed DESC LIMIT 10",
                customer,
            )

    return app
