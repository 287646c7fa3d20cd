"""Batch jobs of other teams, without telemetry, beside the services: `python -m tests.testbed.jobs NAME`.

`recount` corrects the stock in PostgreSQL chunk by chunk, each under a lock on the whole table; `import` puts
recommendations into the Redis that the shop's services share. Both run until SIGTERM, with SHOP_URL_POSTGRES
and SHOP_URL_REDIS.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading

import psycopg
import redis

RECOUNT_CHUNK_S, RECOUNT_GAP_S = 3.0, 0.4
IMPORT_VALUE_BYTES = 16_384
IMPORT_KEYS_A_SECOND = 320
IMPORT_BATCHES_A_SECOND = 16


def recount(stop: threading.Event) -> None:
    """Correct the stock, in transactions that hold the table for as long as a warehouse takes to answer."""
    url = os.environ["SHOP_URL_POSTGRES"]
    with psycopg.connect(url, autocommit=True, application_name="stock-recount") as connection:
        while not stop.is_set():
            with connection.transaction():
                connection.execute("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE")
                connection.execute("UPDATE stock SET quantity = quantity + 1 WHERE quantity < 0")
                stop.wait(RECOUNT_CHUNK_S)
            stop.wait(RECOUNT_GAP_S)


def import_recommendations(stop: threading.Event) -> None:
    """Write recommendation after recommendation, as fast as the source gives them."""
    client = redis.Redis.from_url(os.environ["SHOP_URL_REDIS"])
    chance, number = random.Random(0), 0
    value = chance.randbytes(IMPORT_VALUE_BYTES)
    while not stop.wait(1 / IMPORT_BATCHES_A_SECOND):
        batch = client.pipeline(transaction=False)
        for _ in range(IMPORT_KEYS_A_SECOND // IMPORT_BATCHES_A_SECOND):
            number += 1
            batch.set(f"recommendations:{number}", value)
        batch.execute()


JOBS = {"recount": recount, "import": import_recommendations}


def main(name: str) -> None:
    """Run one job until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    JOBS[name](stop)


if __name__ == "__main__":
    main(sys.argv[1])
