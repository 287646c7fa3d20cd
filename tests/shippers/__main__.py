"""`python -m tests.shippers PROGRAM… [--out DIR]`: run shippers for real and keep what they send.

`all` runs those whose program is here, and says which are not. `expect` writes the events that the decoder
makes of the kept bytes, for a person to check against them: the golden test holds the decoder to that file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.shippers import (
    alertmanager,
    collectd,
    libraries,
    otel_collector,
    otel_sdk,
    rsyslog,
    telegraf,
)
from tests.shippers.fixture import HOME, Fixture, all_fixtures, save, write_expected
from tests.shippers.programs import ShipperError
from tests.support.broker import Broker, ExistingBroker, shared_broker

Maker = Callable[[Broker | ExistingBroker], Iterator[Fixture]]
MAKERS: dict[str, Maker] = {
    "rsyslog": rsyslog.fixtures,
    "alertmanager": alertmanager.fixtures,
    "otel-sdk": otel_sdk.fixtures,
    "collectd": collectd.fixtures,
    "otel-collector": otel_collector.fixtures,
    "telegraf": telegraf.fixtures,
    "cloudevents": libraries.cloudevents,
    "ecs-logging": libraries.ecs_logging,
}


def main() -> int:
    """Make fixtures, or their expectations; return 1 when a program that was asked for is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.shippers", description=__doc__)
    parser.add_argument("what", nargs="+", choices=[*MAKERS, "all", "expect"], metavar="PROGRAM")
    parser.add_argument("--out", type=Path, default=HOME, help="folder of fixtures; default: %(default)s")
    parser.add_argument("--only", action="append", default=[], help="with `expect`: these fixtures alone")
    told = parser.parse_args()
    if "expect" in told.what:
        for fixture in all_fixtures(told.out):
            if not told.only or fixture.name in told.only:
                print(write_expected(fixture, told.out))  # noqa: T201
        return 0
    return _make(list(MAKERS) if "all" in told.what else told.what, told.out, must="all" not in told.what)


def _make(programs: list[str], out: Path, *, must: bool) -> int:
    broker = shared_broker()
    failed = 0
    try:
        for name in programs:
            print(f"== {name}", flush=True)  # noqa: T201
            try:
                for fixture in MAKERS[name](broker):
                    print(f"   {save(fixture, out)}", flush=True)  # noqa: T201
            except ShipperError as error:
                failed += 1
                print(f"   left as it is: {error}", file=sys.stderr)  # noqa: T201
    finally:
        broker.stop()
    return 1 if failed and must else 0


if __name__ == "__main__":
    sys.exit(main())
