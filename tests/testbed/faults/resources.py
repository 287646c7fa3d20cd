"""A service uses up what it has: its share of a core, its memory, its disk."""

from __future__ import annotations

from tests.testbed.faults.model import Fault, Truth
from tests.testbed.processes import ProcessError
from tests.testbed.services import cart_prices, catalog_similar, journal
from tests.testbed.shop import VERSIONS, Shop


def _compare_for_ever(shop: Shop) -> None:
    shop.set_flags("catalog", **{catalog_similar.FLAG: True})


def _stop_comparing(shop: Shop) -> None:
    shop.set_flags("catalog", **{catalog_similar.FLAG: False})


def _watch_prices(shop: Shop) -> None:
    shop.set_flags("cart", **{cart_prices.FLAG: True})


def _restart_cart(shop: Shop) -> None:
    shop.restart("cart", VERSIONS["cart"])


def _needs_volume(shop: Shop) -> None:
    if shop.why_no_volume is not None:
        raise ProcessError(
            "disk-full needs a file system of limited size, which this run could not mount for checkout: "
            f"{shop.why_no_volume}. Run as root, or with the right to mount (CAP_SYS_ADMIN); "
            "every other fault works without."
        )


def _keep_segments(shop: Shop) -> None:
    _needs_volume(shop)
    shop.set_flags("checkout", **{journal.FLAG: True})


def _drop_segments(shop: Shop) -> None:
    shop.set_flags("checkout", **{journal.FLAG: False})


CPU_BURN = Fault(
    name="cpu-burn",
    summary="catalog compares all products over and over and uses up its CPU quota",
    symptom="slow pages all over the storefront",
    truth=Truth(
        service="catalog",
        mechanism="cpu",
        fault="cpu_burn",
        metric_or_code="process.cpu.percent",
        postmortem=(
            "The job in catalog that compares all products with each other was set to live mode, in which it "
            "starts again without a pause, so catalog used its whole quota of half a core and was throttled. "
            "Every answer of catalog came late, and with it the home page, search, product pages and carts. "
            "It ended when live mode was switched off; the job must pause and run outside the service."
        ),
    ),
    inject=_compare_for_ever,
    heal=_stop_comparing,
)
MEMORY_LEAK = Fault(
    name="memory-leak",
    summary="cart keeps every look at the prices until it reaches its memory limit and is killed",
    symptom="carts and checkouts fail for seconds, again and again",
    truth=Truth(
        service="cart",
        mechanism="memory",
        fault="memory_leak",
        metric_or_code="process.memory.usage",
        postmortem=(
            "The price watch was switched on in cart and keeps every look at all prices, so memory grew by "
            "some 2 MB a second up to the limit of 256 MiB, where the process was killed and restarted. "
            "Until cart was up again carts could not be shown or filled and checkouts failed, and since the "
            "price watch was still on memory began to grow anew. "
            "It ended with a restart without the price watch; it must keep only the latest look."
        ),
    ),
    inject=_watch_prices,
    heal=_restart_cart,
)
DISK_FULL = Fault(
    name="disk-full",
    summary="checkout's journal drops no old segments any more; its disk fills up and writing fails",
    symptom="failing checkouts at the storefront",
    truth=Truth(
        service="checkout",
        mechanism="disk",
        fault="disk_full",
        metric_or_code="container.filesystem.usage",
        postmortem=(
            "The janitor of checkout's journal was told to keep old segments, so the journal grew by 0.4 MB "
            "a second until the disk of 48 MiB was full. "
            "From then on no order could be written into the journal, which checkout insists on before it "
            "begins, so every checkout failed with 500 and customers got 502 from the storefront. "
            "It ended when the janitor dropped old segments again; how full the disk is must raise an alert."
        ),
    ),
    check=_needs_volume,
    inject=_keep_segments,
    heal=_drop_segments,
)
