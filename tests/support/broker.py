"""A real Apache Kafka broker for tests and the testbed: one KRaft node, started as a child process.

The jars come from Maven once and stay in the cache folder of the repository. `kill()` is SIGKILL: data and
ports stay, so that `restart()` shows what a client sees when a broker comes back. By hand:
`python -m tests.support.broker --port 19092 --dir DIR`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from tests.support.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
POM = Path(__file__).with_name("broker.pom.xml")
KAFKA_VERSION = "4.1.0"
CLUSTER_ID = "RmF1bHRsaW5lVGVzdHMwMA"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Above the 4 MiB that Faultline takes, so that tests can send what it must refuse."""


class BrokerError(RuntimeError):
    """The broker cannot be had; the message says what to do."""


def kafka_jars(cache: Path | None = None) -> Path:
    """Return the folder with the broker's jars, fetched on first use. Raises BrokerError."""
    root = cache or REPOSITORY / ".cache" / "kafka"
    jars = root / KAFKA_VERSION
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jars.is_dir():
            return jars
        _require_java()
        mvn = shutil.which("mvn")
        if mvn is None:
            raise BrokerError(_install("Maven (`mvn`)"))
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            fetched = Path(scratch) / "jars"
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
            run = subprocess.run(
                [mvn, "-B", "-ntp", "-q", "-f", str(POM), *goal], capture_output=True, text=True, check=False
            )
            if run.returncode != 0:
                tail = "\n".join((run.stdout + run.stderr).splitlines()[-15:])
                raise BrokerError(
                    f"Maven could not fetch Kafka {KAFKA_VERSION}; check the network and Maven's settings, "
                    f"or set FAULTLINE_TEST_KAFKA=host:port to use a running broker.\n{tail}"
                )
            fetched.rename(jars)
    return jars


def _install(what: str) -> str:
    return (
        f"{what} is missing, and tests need a real Kafka broker. On Debian or Ubuntu: "
        "`apt-get install -y openjdk-17-jre-headless maven`. Or set FAULTLINE_TEST_KAFKA=host:port."
    )


def _require_java() -> str:
    java = shutil.which("java")
    if java is None:
        raise BrokerError(_install("A Java runtime (JDK 17 or later, `java`)"))
    return java


def create_topic(bootstrap: str, name: str, *, partitions: int = 1) -> None:
    """Create `name` with `partitions` partitions; one that exists already is left as it is."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})
    except TopicAlreadyExistsError:
        pass
    finally:
        admin.close()


class ExistingBroker:
    """A broker that somebody else runs, named by `FAULTLINE_TEST_KAFKA`."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def create_topic(self, name: str, *, partitions: int = 1) -> None:
        create_topic(self.bootstrap, name, partitions=partitions)

    def stop(self) -> None:
        """Leave it running: it is not ours."""


class Broker:
    """One broker-controller of our own. Not started by construction."""

    def __init__(
        self,
        *,
        directory: Path | None = None,
        port: int | None = None,
        auto_create_topics: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._own_directory = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="faultline-kafka-"))
        self.port = port or free_port()
        self._controller_port = free_port()
        self._auto_create = auto_create_topics
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.directory / "broker.log"

    def start(self, *, timeout_s: float = 90.0) -> None:
        """Start and wait until the broker answers. Raises BrokerError with the end of its log."""
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self.directory / "server.properties"
        if not (self.directory / "data" / "meta.properties").exists():
            properties.write_text(self._properties(), encoding="utf-8")
            self._format(properties)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_with_parent(), *self._java("kafka.Kafka"), str(properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.directory,
            )
        self._wait_until_up(time.monotonic() + timeout_s)

    def stop(self) -> None:
        """Shut down cleanly and, when the data folder is our own temporary one, remove it."""
        self._end(signal.SIGTERM)
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, as a crash would; data stays for `restart()`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same ports and data, after `kill()` or from running."""
        self._end(signal.SIGTERM)
        self.start()

    def create_topic(self, name: str, *, partitions: int = 1) -> None:
        create_topic(self.bootstrap, name, partitions=partitions)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait_until_up(self, deadline: float) -> None:
        process = self._process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            if _answers(self.port):
                return
            time.sleep(0.2)
        self._end(signal.SIGKILL)
        raise BrokerError(f"Kafka did not start on {self.bootstrap}; end of its log:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])

    def _java(self, main: str) -> list[str]:
        tuning = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        logging = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return [_require_java(), *tuning, *logging, "-cp", f"{kafka_jars()}/*", main]

    def _format(self, properties: Path) -> None:
        arguments = ["format", "--standalone", "-t", CLUSTER_ID, "-c", str(properties)]
        run = subprocess.run(
            [*self._java("kafka.tools.StorageTool"), *arguments], capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            raise BrokerError(f"Kafka could not format {self.directory}:\n{run.stdout}{run.stderr}")

    def _properties(self) -> str:
        listeners = f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}"
        values = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self._controller_port}",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.directory / "data"),
            "num.partitions": "1",
            "auto.create.topics.enable": str(self._auto_create).lower(),
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "message.max.bytes": str(MAX_MESSAGE_BYTES),
            "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
            **self._settings,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


def _with_parent() -> list[str]:
    """Prefix that ends the broker with us, so that a killed test run leaves no JVM behind."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
    try:
        admin = KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", bootstrap_timeout_ms=5000)
        admin.close()
    except (KafkaError, OSError):
        return False
    return True


def shared_broker() -> Broker | ExistingBroker:
    """Return the broker tests share: `FAULTLINE_TEST_KAFKA`, else a started one of our own."""
    existing = os.environ.get("FAULTLINE_TEST_KAFKA")
    if existing:
        return ExistingBroker(existing)
    broker = Broker()
    broker.start()
    return broker


def beside(command: Sequence[str]) -> int:
    """Run `command` with {} as the address of a broker that lives as long; return its exit code."""
    broker = shared_broker()
    try:
        return subprocess.run(
            [word.replace("{}", broker.bootstrap) for word in command], check=False
        ).returncode
    finally:
        broker.stop()


def main() -> None:
    """Run a broker in the foreground until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.broker", description=main.__doc__)
    parser.add_argument("--port", type=int, default=19092)
    parser.add_argument("--dir", type=Path, help="data folder, kept between runs; default: a temporary one")
    parser.add_argument("--topic", action="append", default=[], metavar="NAME[:PARTITIONS]")
    parser.add_argument(
        "--run",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="run this with {} as the broker's address, on a free port, and stop the broker after it",
    )
    arguments = parser.parse_args()
    if arguments.run:
        raise SystemExit(beside(arguments.run))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    directory = arguments.dir.resolve() if arguments.dir else None
    broker = Broker(directory=directory, port=arguments.port)
    broker.start()
    for topic in arguments.topic:
        name, _, partitions = topic.partition(":")
        broker.create_topic(name, partitions=int(partitions or 1))
    print(f"Kafka answers on {broker.bootstrap}; log in {broker.log_path}", flush=True)  # noqa: T201
    stop.wait()
    broker.stop()


if __name__ == "__main__":
    main()
