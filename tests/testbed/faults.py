"""The faults: how each is caused and cured in a running shop, and what the truth about it is.

A cause is never telemetry: an outside company gets slow, a connection is not given back, a new version is
rolled out. What the shop then sends is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.testbed.shop import VERSIONS, Shop

GOOD_CATALOG, BAD_ORDERS = "1.8.1", "2.4.0"
ACQUIRER_EXTRA_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really was wrong: the label that a ranking is scored against, and the account of it."""

    service: str
    mechanism: str
    fault: str
    metric_or_code: str
    postmortem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that can be done to the shop. `truth` is None where nothing goes wrong."""

    name: str
    summary: str
    symptom: str | None
    truth: Truth | None
    inject: Callable[[Shop], None]
    heal: Callable[[Shop], None]


def _slow_acquirer(shop: Shop) -> None:
    shop.post("acquirer", "/_latency", {"seconds": ACQUIRER_EXTRA_S})


def _fast_acquirer(shop: Shop) -> None:
    shop.post("acquirer", "/_latency", {"seconds": 0})


def _audit_stock(shop: Shop) -> None:
    shop.post("inventory", "/_switch", {"stock_audit": True})


def _restart_inventory(shop: Shop) -> None:
    shop.restart("inventory", VERSIONS["inventory"])


def _deploy_bad_orders(shop: Shop) -> None:
    shop.deploy("orders", BAD_ORDERS, f"orders {BAD_ORDERS}: loyalty points")


def _roll_orders_back(shop: Shop) -> None:
    shop.deploy("orders", VERSIONS["orders"], f"orders: roll back to {VERSIONS['orders']}")


def _deploy_good_catalog(shop: Shop) -> None:
    shop.deploy("catalog", GOOD_CATALOG, f"catalog {GOOD_CATALOG}: dependency updates")


def _nothing(shop: Shop) -> None:
    """Nothing to mend."""


SLOW_DEPENDENCY = Fault(
    name="slow-dependency",
    summary="the card acquirer that payments calls takes some 4 s longer; checkouts time out",
    symptom="checkout latency and errors at the storefront",
    truth=Truth(
        service="payments",
        mechanism="dependency_error",
        fault="slow_external_call",
        metric_or_code="payments.acquirer.duration",
        postmortem=(
            "Authorizations at the card acquirer went from about 40 ms to about 4 s, so every charge in "
            "payments became slow. "
            "Checkout gave up on the slowest after 5 s and released the reservations, and customers waited "
            "or got 502 from the storefront; browsing was not affected. "
            "It ended when the acquirer recovered; payments should fail fast when the acquirer is slow."
        ),
    ),
    inject=_slow_acquirer,
    heal=_fast_acquirer,
)
POOL_EXHAUSTED = Fault(
    name="pool-exhausted",
    summary="inventory's stock audit keeps its connections; its PostgreSQL pool runs dry",
    symptom="slow product pages and failing checkouts at the storefront",
    truth=Truth(
        service="inventory",
        mechanism="pool_saturation",
        fault="connection_leak",
        metric_or_code="db.client.connection.count",
        postmortem=(
            "The stock audit was switched on in inventory and each audit kept its PostgreSQL connection, so "
            "the pool of ten was used up and those connections sat idle in transaction. "
            "Every request to inventory then waited 2 s for a connection and failed, so product pages came "
            "slowly and without availability, and checkouts failed at the reservation. "
            "It ended with a restart of inventory, audit off; the audit must give its connection back."
        ),
    ),
    inject=_audit_stock,
    heal=_restart_inventory,
)
BAD_DEPLOY = Fault(
    name="bad-deploy",
    summary="orders 2.4.0 is rolled out and throws for customers of the gold tier",
    symptom="failing checkouts at the storefront",
    truth=Truth(
        service="orders",
        mechanism="bad_deploy_or_config",
        fault="code_exception",
        metric_or_code="loyalty_points",
        postmortem=(
            "Version 2.4.0 of orders grants loyalty points and looks the customer's tier up in a table "
            "that lacks the gold tier, so booking an order of a gold customer raised KeyError. "
            "A third of all checkouts failed after the charge, which was refunded, and customers got 502 "
            "from the storefront. "
            "It ended with the roll-back to 2.3.1; the table must know every tier and have a default."
        ),
    ),
    inject=_deploy_bad_orders,
    heal=_roll_orders_back,
)
QUIET = Fault(
    name="quiet",
    summary="nothing goes wrong; catalog 1.8.1 is rolled out and is fine",
    symptom=None,
    truth=None,
    inject=_deploy_good_catalog,
    heal=_nothing,
)
FAULTS = {fault.name: fault for fault in (SLOW_DEPENDENCY, POOL_EXHAUSTED, BAD_DEPLOY, QUIET)}
