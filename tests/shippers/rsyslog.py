"""rsyslog with omkafka: one message a record, in each of the templates that people use.

Messages come in as they do on a server: an application through the local socket, others over TCP in both
of syslog's forms.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.shippers.fixture import Fixture
from tests.shippers.programs import consume, program, running, until, version_line
from tests.support.broker import Broker, ExistingBroker

TEMPLATES = {
    "rsyslog-rfc5424": ("syslog", "RSYSLOG_SyslogProtocol23Format", "txt"),
    "rsyslog-rfc3164": ("syslog", "RSYSLOG_TraditionalForwardFormat", "txt"),
    "rsyslog-rfc3164-precise": ("syslog", "RSYSLOG_ForwardFormat", "txt"),
    "rsyslog-file-lines": ("syslog", "RSYSLOG_TraditionalFileFormat", "txt"),
    "rsyslog-text": ("text", "message_only", "txt"),
    "rsyslog-json": ("syslog_json", "as_json", "json"),
}
"""Fixture → format, rsyslog's template, suffix."""

_CONFIGURATION = """
global(workDirectory="{folder}" localHostname="web-1" maxMessageSize="64k")
module(load="imuxsock" SysSock.Use="off")
module(load="imtcp")
module(load="omkafka")
input(type="imuxsock" Socket="{folder}/log" CreatePath="off")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{folder}/port")
template(name="message_only" type="string" string="%msg%")
template(name="as_json" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" caseConversion="upper" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="program" name="programname" format="jsonf")
  property(outname="procid" name="procid" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
"""
_ACTION = """
action(type="omkafka" broker=["{bootstrap}"] topic="{topic}" template="{template}" partitions.auto="on")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rsyslog:
    """A running rsyslogd and the ways into it."""

    socket: Path
    port: int
    tail: Callable[[], str]

    def application(self, name: str, pid: int) -> logging.Logger:
        """Return a logger that writes to the local socket as the standard library does."""
        handler = logging.handlers.SysLogHandler(str(self.socket))
        handler.setFormatter(logging.Formatter(f"{name}[{pid}]: %(message)s"))
        logger = logging.getLogger(f"shippers.{name}")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(handler)
        return logger

    def send(self, *frames: bytes) -> None:
        """Send frames over one TCP connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"".join(frames))


@contextlib.contextmanager
def running_rsyslog(bootstrap: str, topics: Mapping[str, str]) -> Iterator[Rsyslog]:
    """Run rsyslogd that writes to each topic (template → topic). Raises ShipperError."""
    with tempfile.TemporaryDirectory(prefix="faultline-rsyslog-") as scratch:
        folder = Path(scratch)
        actions = (
            _ACTION.format(bootstrap=bootstrap, topic=topic, template=template)
            for template, topic in topics.items()
        )
        conf = folder / "rsyslog.conf"
        conf.write_text(_CONFIGURATION.format(folder=folder) + "".join(actions), encoding="utf-8")
        rsyslogd = program("rsyslogd", "rsyslog rsyslog-kafka")
        command = [rsyslogd, "-n", "-f", str(conf), "-i", str(folder / "pid")]
        with running(command, folder) as tail:
            listening, local = folder / "port", folder / "log"
            until(
                lambda: listening.exists() and listening.read_text() and local.exists(),
                "rsyslogd listens",
                tail,
            )
            yield Rsyslog(socket=local, port=int(listening.read_text()), tail=tail)


def close(logger: logging.Logger) -> None:
    """Close a logger's socket."""
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)


def say(rsyslog: Rsyslog, now: datetime) -> int:
    """Log what a small shop would log, at `now`; return how many messages that is."""
    checkout = rsyslog.application("checkout", 412)
    checkout.info("order o-17 took 38 ms")
    checkout.error("payment of order o-18 refused: card declined")
    checkout.critical(
        "unhandled error\nTraceback (most recent call last):\n  File \"pay.py\", line 7\nKeyError: 'iban'"
    )
    close(checkout)
    stamp = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    old = f"{now:%b} {now.day:2d} {now:%H:%M:%S}"
    shop = r'[shop@32473 order="o-18" note="says \"no\""]'
    context = f'{shop}[trace@32473 trace_id="4bf92f3577b34da6a3ce929d0e0e4736"]'
    framed = f"<134>1 {stamp} cart-1 cart 77 - - first line\nsecond line".encode()
    rsyslog.send(
        f"<131>1 {stamp} db-2 postgres 990 DEADLOCK {context} ".encode()
        + b"\xef\xbb\xbfdeadlock \xe2\x80\x93 3 waiters\n",
        f"<34>{old} db-2 su: 'su root' failed for mallory on /dev/pts/8\n".encode(),
        f"<190>{old} router-3 %LINK-3-UPDOWN: Interface ge-0/0/1, changed state to down\n".encode(),
        b"%d " % len(framed) + framed,
    )
    return 7


def fixtures(broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Run rsyslog against a broker and yield what it sent in each template."""
    version = version_line([program("rsyslogd", "rsyslog rsyslog-kafka"), "-v"]).split()[1]
    for name in TEMPLATES:
        broker.create_topic(name)
    topics = {template: name for name, (_, template, _) in TEMPLATES.items()}
    with running_rsyslog(broker.bootstrap, topics) as rsyslog:
        count = say(rsyslog, datetime.now(tz=UTC))
        for name, (form, template, suffix) in TEMPLATES.items():
            yield Fixture(
                name=name,
                format=form,
                program=f"rsyslog omkafka, template {template}",
                version=version,
                command="python -m tests.shippers rsyslog",
                suffix=suffix,
                sent=consume(broker.bootstrap, name, count, rsyslog.tail),
            )
