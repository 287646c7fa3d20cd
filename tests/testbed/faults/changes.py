"""Something new is rolled out: a version that throws, a value that is wrong, and one where all is well."""

from __future__ import annotations

from tests.testbed.faults.model import Fault, Truth
from tests.testbed.shop import VERSIONS, Shop

GOOD_CATALOG, BAD_ORDERS = "1.8.1", "2.4.0"
PAYMENTS_TIMEOUT = "payments.timeout_s"
GOOD_TIMEOUT_S, BAD_TIMEOUT_S = 5.0, 0.03


def _deploy_bad_orders(shop: Shop) -> None:
    shop.deploy("orders", BAD_ORDERS, f"orders {BAD_ORDERS}: loyalty points")


def _roll_orders_back(shop: Shop) -> None:
    shop.deploy("orders", VERSIONS["orders"], f"orders: roll back to {VERSIONS['orders']}")


def _configure_checkout_badly(shop: Shop) -> None:
    title = f"checkout: {PAYMENTS_TIMEOUT} from {GOOD_TIMEOUT_S:g} to {BAD_TIMEOUT_S:g}"
    shop.configure("checkout", title, **{PAYMENTS_TIMEOUT: BAD_TIMEOUT_S})


def _configure_checkout_well(shop: Shop) -> None:
    title = f"checkout: {PAYMENTS_TIMEOUT} back to {GOOD_TIMEOUT_S:g}"
    shop.configure("checkout", title, **{PAYMENTS_TIMEOUT: GOOD_TIMEOUT_S})


def _deploy_good_catalog(shop: Shop) -> None:
    shop.deploy("catalog", GOOD_CATALOG, f"catalog {GOOD_CATALOG}: dependency updates")


def _nothing(shop: Shop) -> None:
    """Nothing to mend."""


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
BAD_CONFIG = Fault(
    name="bad-config",
    summary="checkout's time-out for payments is set to 30 ms, a thousandth of what was meant",
    symptom="failing checkouts at the storefront",
    truth=Truth(
        service="checkout",
        mechanism="bad_deploy_or_config",
        fault="wrong_timeout",
        metric_or_code=PAYMENTS_TIMEOUT,
        postmortem=(
            "The time-out of checkout's calls to payments was meant to go from 5 s to 30 s and was written "
            "in the wrong unit, so it went to 30 ms, less than a charge takes. "
            "Checkout gave up on almost every charge, though payments went on to take the money, released "
            "the reservation and answered 504, so customers got 502 from the storefront. "
            "It ended when the value was set back; a time-out must be checked against what calls take."
        ),
    ),
    inject=_configure_checkout_badly,
    heal=_configure_checkout_well,
)
QUIET = Fault(
    name="quiet",
    summary="nothing goes wrong; catalog 1.8.1 is rolled out and is fine",
    symptom=None,
    truth=None,
    inject=_deploy_good_catalog,
    heal=_nothing,
)
