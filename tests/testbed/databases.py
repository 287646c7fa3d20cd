"""A private Redis and a private PostgreSQL from Debian's packages, on free ports, in a folder of their own.

PostgreSQL refuses to run as root, so as root it runs as `postgres`. Both write log files, which the shop's
collector ships as an agent on a real host would.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis

from tests.support.ports import free_port
from tests.testbed.processes import Child, ProcessError, start

START_S = 30.0
REDIS_MEMORY = "6mb"
"""Redis itself takes about one and the shop's carts and cached products less than another."""
POSTGRES_CONNECTIONS = 60
PRODUCTS = 120
CUSTOMERS = 300
CATEGORIES = ("Kettle", "Lamp", "Chair", "Blanket", "Clock", "Vase")
STYLES = ("Oak", "Linen", "Copper", "Blue", "Nordic", "Classic", "Tiny", "Grand")
NOT_STOCKED = (9, 119)
"""Made to order: inventory knows nothing of them, which is no fault. The second sells best but one."""
TIERS = ("basic", "silver", "gold")
"""Held by customers in equal parts."""

_SCHEMA = """
CREATE TABLE products (sku text PRIMARY KEY, name text NOT NULL, category text NOT NULL,
    price numeric(10, 2) NOT NULL, description text NOT NULL, sales integer NOT NULL);
CREATE TABLE stock (sku text PRIMARY KEY, quantity integer NOT NULL CHECK (quantity >= 0),
    reserved integer NOT NULL DEFAULT 0);
CREATE TABLE reservations (reference text, sku text, quantity integer NOT NULL, PRIMARY KEY (reference, sku));
CREATE TABLE customers (id text PRIMARY KEY, tier text NOT NULL, points integer NOT NULL DEFAULT 0);
CREATE TABLE orders (reference text PRIMARY KEY, customer text NOT NULL, charge text NOT NULL,
    total numeric(12, 2) NOT NULL, placed timestamptz NOT NULL DEFAULT now());
CREATE INDEX orders_customer ON orders (customer, placed);
CREATE TABLE order_lines (reference text, sku text, quantity integer NOT NULL);
"""


def sku(number: int) -> str:
    """Return the name of product `number`, 1 to PRODUCTS."""
    return f"SKU-{number:04d}"


def customer(number: int) -> str:
    """Return the id of customer `number`, 1 to CUSTOMERS."""
    return f"u-{1000 + number}"


def _until(ready: Callable[[], bool], child: Child) -> None:
    deadline = time.monotonic() + START_S
    while not ready():
        child.require()
        if time.monotonic() > deadline:
            raise ProcessError(f"{child.name} did not answer within {START_S:g}s:\n{child.tail()}")
        time.sleep(0.1)


class Redis:
    """A Redis that saves now and then, as the default configuration does."""

    def __init__(self, directory: Path, *, niceness: int = 0) -> None:
        if shutil.which("redis-server") is None:
            raise ProcessError("redis-server is missing: `apt-get install -y redis-server`")
        self._directory = directory
        self._niceness = niceness
        self.port = free_port()
        self.log = directory / "redis.log"
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers. Raises ProcessError."""
        self._directory.mkdir(parents=True)
        options = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--dir": str(self._directory),
            "--logfile": str(self.log),
            "--save": "60 100",
            "--maxmemory": REDIS_MEMORY,
            "--maxmemory-policy": "allkeys-lru",
        }
        command = ["redis-server", *(part for pair in options.items() for part in pair)]
        console = self._directory / "console"
        self._child = start("redis", command, console=console, niceness=self._niceness)
        client = redis.Redis.from_url(self.url)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        _until(answers, self._child)

    def forget(self, pattern: str, share: float) -> int:
        """Delete a share of the keys that match `pattern`; return how many went."""
        client = redis.Redis.from_url(self.url)
        keys = sorted(client.scan_iter(pattern, count=500))
        gone = keys[: round(share * len(keys))]
        if gone:
            client.delete(*gone)
        client.close()
        return len(gone)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()


class Postgres:
    """A PostgreSQL with the shop's tables and goods."""

    def __init__(self, directory: Path, *, niceness: int = 0) -> None:
        self._binaries = _binaries()
        self._directory = directory
        self._niceness = niceness
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        self.log = directory / "data" / "log" / "postgresql.log"
        self._child: Child | None = None

    def url(self, role: str = "shop") -> str:
        return f"postgresql://{role}@127.0.0.1:{self.port}/shop"

    def start(self, *, seed: int) -> None:
        """Create the cluster, start it and fill the shop. Raises ProcessError."""
        self._directory.mkdir(parents=True)
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        self._initialise()
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": str(POSTGRES_CONNECTIONS),
            "shared_buffers": "32MB",
            "logging_collector": "on",
            "log_filename": "postgresql.log",
            "log_rotation_age": "0",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%a@%d ",
            "log_min_duration_statement": "250",
            "log_lock_waits": "on",
            "log_checkpoints": "on",
            "log_connections": "on",
            "log_disconnections": "on",
            "checkpoint_timeout": "60",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._directory / "data"), *options]
        self._child = start(
            "postgres",
            command,
            console=self._directory / "console",
            user=self._user,
            when_we_die="INT",
            niceness=self._niceness,
        )
        _until(self._answers, self._child)
        self._fill(random.Random(seed))

    def _initialise(self) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self._directory / "data"), "-U", "postgres"]
        child = start(
            "initdb",
            [*command, "-A", "trust", "-E", "UTF8", "--no-sync"],
            console=self._directory / "console",
            user=self._user,
        )
        if child.wait(60) != 0:
            raise ProcessError(f"initdb failed:\n{child.tail()}")

    def _admin(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._admin("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _fill(self, chance: random.Random) -> None:
        with psycopg.connect(self._admin("postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE shop LOGIN")
            connection.execute("CREATE DATABASE shop OWNER shop")
        with psycopg.connect(self.url()) as connection:
            connection.execute(_SCHEMA)
            for number in range(1, PRODUCTS + 1):
                kind = chance.choice(CATEGORIES)
                name = f"{chance.choice(STYLES)} {kind} {number}"
                values = (
                    sku(number),
                    name,
                    name.split()[1],
                    round(chance.uniform(5, 250), 2),
                    name * 6,
                    number,
                )
                connection.execute("INSERT INTO products VALUES (%s, %s, %s, %s, %s, %s)", values)
                stock = chance.randrange(100, 400)
                if number not in NOT_STOCKED:
                    connection.execute("INSERT INTO stock VALUES (%s, %s)", (sku(number), stock))
            for number in range(1, CUSTOMERS + 1):
                tier = TIERS[number % len(TIERS)]
                connection.execute("INSERT INTO customers VALUES (%s, %s)", (customer(number), tier))

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(how=signal.SIGINT)


def _binaries() -> Path:
    found = (
        subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        if (shutil.which("pg_config"))
        else None
    )
    candidates = [Path(found.stdout.strip())] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ProcessError("PostgreSQL's server is missing: `apt-get install -y postgresql`")
