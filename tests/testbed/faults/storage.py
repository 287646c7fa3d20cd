"""PostgreSQL and Redis in want: of connections, of a lock, of memory."""

from __future__ import annotations

from tests.testbed.faults.model import Fault, Truth
from tests.testbed.shop import VERSIONS, Shop


def _audit_stock(shop: Shop) -> None:
    shop.set_flags("inventory", stock_audit=True)


def _restart_inventory(shop: Shop) -> None:
    shop.restart("inventory", VERSIONS["inventory"])


def _recount(shop: Shop) -> None:
    shop.start_job("recount")


def _import(shop: Shop) -> None:
    shop.start_job("import")


def _end_jobs(shop: Shop) -> None:
    shop.end_jobs()


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
LOCK_CONTENTION = Fault(
    name="lock-contention",
    summary="a recount of the stock locks PostgreSQL's table `stock` for 3 s at a time",
    symptom="slow product pages and checkouts at the storefront",
    truth=Truth(
        service="postgres",
        mechanism="lock",
        fault="table_lock",
        metric_or_code="postgresql.backends.waiting_for_lock",
        postmortem=(
            "A batch job that recounts the stock ran in opening hours and took an ACCESS EXCLUSIVE lock on "
            "the table stock in PostgreSQL, in transactions of 3 s each. "
            "Inventory's statements on that table waited for the lock for up to 3 s, and with them product "
            "pages and checkouts; PostgreSQL logged the waiting, its CPU had nothing to do. "
            "It ended when the job was stopped; it must lock single rows, for a short time, and run at night."
        ),
    ),
    inject=_recount,
    heal=_end_jobs,
)
REDIS_EVICTING = Fault(
    name="redis-evicting",
    summary="an import of recommendations fills the shared Redis, which throws carts and products out",
    symptom="customers lose their carts and cannot check out",
    truth=Truth(
        service="redis",
        mechanism="memory",
        fault="cache_eviction",
        metric_or_code="redis.keys.evicted",
        postmortem=(
            "A batch job wrote recommendations into the Redis that cart, catalog and payments share, until "
            "its memory of 6 MB was used up and it evicted the keys that were used longest ago. "
            "Carts vanished within seconds, so cart missed what it had just written and two of three "
            "checkouts failed, and catalog had to load almost every product from PostgreSQL. "
            "It ended when the import was stopped; carts need a store that does not evict them."
        ),
    ),
    inject=_import,
    heal=_end_jobs,
)
