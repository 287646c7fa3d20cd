"""`python -m tests.testbed.services NAME`: run one service of the shop in the foreground until SIGTERM.

Everything it needs comes from the environment: SHOP_PORT, SHOP_KAFKA, SHOP_POD, SHOP_RESTARTS (how often the
pod's process was restarted), SHOP_VERSION, SHOP_TRACES (share of traces kept), SHOP_VOLUME, SHOP_FLAGS and
SHOP_CONFIGURATION (JSON objects) and SHOP_URL_<NEIGHBOUR>.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys

from tests.testbed.services.process_metrics import watch_process
from tests.testbed.services.telemetry import log_through, shop_resource, start_telemetry
from tests.testbed.services.web import Running, serve

URL = "SHOP_URL_"


def main(service: str) -> None:
    """Run `service`."""
    version = os.environ["SHOP_VERSION"]
    resource = shop_resource(service, version=version, pod=os.environ["SHOP_POD"])
    telemetry = start_telemetry(resource, os.environ["SHOP_KAFKA"], share=float(os.environ["SHOP_TRACES"]))
    log_through(telemetry)
    meter = telemetry.meters.get_meter("shop")
    watch_process(meter, restarts=int(os.environ["SHOP_RESTARTS"]))
    running = Running(
        service=service,
        pod=os.environ["SHOP_POD"],
        version=tuple(int(part) for part in version.split(".")),
        tracer=telemetry.tracer(),
        meter=meter,
        urls={k.removeprefix(URL).lower(): v for k, v in os.environ.items() if k.startswith(URL)},
        volume=os.environ.get("SHOP_VOLUME", ""),
        flags=json.loads(os.environ.get("SHOP_FLAGS", "{}")),
        configuration=json.loads(os.environ.get("SHOP_CONFIGURATION", "{}")),
    )
    app = importlib.import_module(f"tests.testbed.services.{service}").build(running)
    running.log.info("starting %s %s", service, version)
    try:
        serve(app, int(os.environ["SHOP_PORT"]), running)
    finally:
        running.log.info("%s %s stopped", service, version)
        telemetry.close()
        logging.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
