"""Between a service and those it talks to: a slow company, a lossy network, a client that hammers."""

from __future__ import annotations

from tests.testbed.faults.model import Fault, Truth
from tests.testbed.services import network, storefront
from tests.testbed.shop import Shop

ACQUIRER_EXTRA_S = 4.0
LOSS = 0.6


def _slow_acquirer(shop: Shop) -> None:
    shop.post("acquirer", "/_latency", {"seconds": ACQUIRER_EXTRA_S})


def _fast_acquirer(shop: Shop) -> None:
    shop.post("acquirer", "/_latency", {"seconds": 0})


def _lose_requests(shop: Shop) -> None:
    shop.set_flags("orders", **{network.LOSS: LOSS})


def _lose_nothing(shop: Shop) -> None:
    shop.set_flags("orders", **{network.LOSS: 0})


def _hammer(shop: Shop) -> None:
    shop.set_flags("storefront", **{storefront.LIVE: True})


def _ask_once(shop: Shop) -> None:
    shop.set_flags("storefront", **{storefront.LIVE: False})


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
DROPPED_CONNECTIONS = Fault(
    name="dropped-connections",
    summary="the network in front of orders loses more than half of the requests",
    symptom="failing or hanging checkouts and order histories at the storefront",
    truth=Truth(
        service="orders",
        mechanism="network",
        fault="dropped_connections",
        metric_or_code="http.client.requests",
        postmortem=(
            "The network in front of orders lost 60% of the requests to it: half of those were reset and "
            "half never answered, while what got through was answered as fast as ever. "
            "Checkout could not book what had been paid and gave the money back, order histories failed or "
            "hung until their time-out, and orders itself logged nothing but fewer requests. "
            "It ended when the network was mended; booking must be repeatable so that it can be retried."
        ),
    ),
    inject=_lose_requests,
    heal=_lose_nothing,
)
RETRY_STORM = Fault(
    name="retry-storm",
    summary="storefront asks inventory again and again, without a pause, for what it does not keep",
    symptom="a slow home page at the storefront",
    truth=Truth(
        service="storefront",
        mechanism="traffic",
        fault="retry_storm",
        metric_or_code="http.client.requests",
        postmortem=(
            "Live availability was switched on in storefront: the home page asks inventory for the products "
            "it shows, and an answer that is missing is asked for again at once, up to twenty times. "
            "Inventory answers 404 for the few products made to order, as ever, and one of them is on the "
            "home page, so the requests to inventory multiplied and the home page waited for all of them. "
            "It ended when live availability was switched off; it needs a back-off and must take no for no."
        ),
    ),
    inject=_hammer,
    heal=_ask_once,
)
