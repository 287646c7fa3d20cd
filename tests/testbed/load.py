"""The customers: journeys through the shop, Poisson arrivals from a seed, busier and calmer by turns.

`python -m tests.testbed.load STOREFRONT_URL RATE SEED` runs until SIGTERM and then prints one JSON line of
answers by status. RATE is requests a second over all journeys, in the mean over a day. SHOP_DAY in the
environment, as `daily.py` writes it, says how long a day takes and how much it swings; without it no hour
differs from another.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter

import httpx

from tests.testbed.daily import DAY_VARIABLE, Day
from tests.testbed.databases import CUSTOMERS, PRODUCTS, STYLES, customer, sku

JOURNEYS = {"glance": 0.36, "search": 0.28, "fill_cart": 0.12, "buy": 0.24}
REQUESTS_PER_JOURNEY = 3.5
"""Mean over the mix below; turns a request rate into a rate of journeys."""
SWING, SWING_S = 0.2, 240.0
"""Minutes differ too: how much, and how long a turn takes."""
THINK_S = 1.2
PATIENCE_S = 15.0


class Customers:
    """All customers of a run."""

    def __init__(self, url: str, rate: float, seed: int, day: Day) -> None:
        self._rate = rate / REQUESTS_PER_JOURNEY
        self._day = day
        self._chance = random.Random(seed)
        self._client = httpx.AsyncClient(
            base_url=url, timeout=PATIENCE_S, limits=httpx.Limits(max_connections=200, keepalive_expiry=30)
        )
        self._visits: set[asyncio.Task[None]] = set()
        self.answers: Counter[str] = Counter()

    async def come(self, stop: asyncio.Event) -> None:
        """Start journeys until `stop`, then let the open ones finish or give up."""
        began = time.monotonic()
        while not stop.is_set():
            passed = time.monotonic() - began
            swing = 1 + SWING * math.sin(2 * math.pi * passed / SWING_S)
            await asyncio.sleep(self._chance.expovariate(self._rate * swing * self._day.busy(passed)))
            name = self._chance.choices([*JOURNEYS], [*JOURNEYS.values()])[0]
            visit = asyncio.create_task(self._journey(name, random.Random(self._chance.random())))
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        await self._client.aclose()

    async def _journey(self, name: str, chance: random.Random) -> None:
        headers = {
            "x-customer": customer(chance.randint(1, CUSTOMERS)),
            "x-forwarded-for": f"203.0.113.{chance.randint(1, 254)}",
            "user-agent": chance.choice(("web/5.2", "ios/3.11", "android/3.9")),
        }
        for method, path, body in _steps(name, chance):
            status = await self._ask(method, path, body, headers)
            if status >= 500 and chance.random() < 0.5:
                return
            await asyncio.sleep(chance.expovariate(1 / THINK_S))

    async def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> int:
        try:
            answer = await self._client.request(method, path, json=body, headers=headers)
            status = answer.status_code
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return 599
        self.answers[str(status)] += 1
        return status


def _product(chance: random.Random) -> str:
    return sku(max(1, min(PRODUCTS, round(PRODUCTS * chance.betavariate(1, 3)))))


def _steps(name: str, chance: random.Random) -> list[tuple[str, str, object]]:
    home: tuple[str, str, object] = ("GET", "/", None)
    product = [("GET", f"/products/{_product(chance)}", None) for _ in range(2)]
    if name == "glance":
        return [home, *product[: chance.randint(0, 2)]]
    if name == "search":
        return [home, ("GET", f"/search?q={chance.choice(STYLES)}", None), *product[: chance.randint(1, 2)]]
    fill: list[tuple[str, str, object]] = []
    for _ in range(chance.randint(1, 2)):
        wanted = _product(chance)
        fill.append(("GET", f"/products/{wanted}", None))
        fill.append(("POST", "/cart/items", {"sku": wanted, "quantity": chance.choice((1, 1, 1, 2, 3))}))
    if name == "fill_cart":
        return [home, *fill, ("GET", "/cart", None)]
    return [*fill, ("POST", "/checkout", {}), ("GET", "/orders", None)]


async def run(url: str, rate: float, seed: int, day: Day) -> None:
    """Send customers until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    customers = Customers(url, rate, seed, day)
    await customers.come(stop)
    sys.stdout.write(json.dumps(dict(sorted(customers.answers.items()))) + "\n")


if __name__ == "__main__":
    today = Day.parse(os.environ.get(DAY_VARIABLE, ""))
    asyncio.run(run(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), today))
