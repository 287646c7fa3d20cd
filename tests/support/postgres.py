"""A private PostgreSQL for tests, from Debian's package: own data folder, own port, gone afterwards.

`FAULTLINE_TEST_POSTGRES=postgresql://…` uses an existing server instead (a role that may create databases).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.ports import free_port

INSTALL = "apt-get install -y --no-install-recommends postgresql"


class PostgresMissingError(RuntimeError):
    """There is no PostgreSQL to test with; the message says how to get one."""


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a running server's maintenance database."""
    given = os.environ.get("FAULTLINE_TEST_POSTGRES")
    if given:
        yield given
        return
    binaries = _binaries()
    # Short: a unix socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="fl-pg-"))
    user = _server_user(folder)
    try:
        port = free_port()
        _start(binaries, folder, port, user)
        try:
            yield f"postgresql://faultline@127.0.0.1:{port}/postgres"
        finally:
            _run([str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgres_database(server: str) -> Iterator[str]:
    """Yield the URL of a fresh, empty database on `server`; dropped afterwards."""
    name = f"faultline_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _binaries() -> Path:
    found = [
        path.parent
        for pattern in ("usr/lib/postgresql/*/bin/initdb", "usr/local/bin/initdb", "opt/homebrew/bin/initdb")
        for path in Path("/").glob(pattern)
    ]
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    if not found:
        raise PostgresMissingError(
            f"the store's tests need PostgreSQL: run `{INSTALL}` as root, "
            "or set FAULTLINE_TEST_POSTGRES to the URL of a server"
        )
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdigit()])


def _server_user(folder: Path) -> str | None:
    """Return the user to run as, None for ourselves: initdb refuses root."""
    if os.getuid() != 0:
        return None
    account = pwd.getpwnam("postgres")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return account.pw_name


def _start(binaries: Path, folder: Path, port: int, user: str | None) -> None:
    data = str(folder / "data")
    initdb = [str(binaries / "initdb"), "-D", data, "-U", "faultline", "-A", "trust", "-E", "UTF8"]
    _run([*initdb, "--locale=C", "--no-sync"], user)
    # No fsync: the tests kill processes, not the machine, and the data is thrown away.
    settings = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c full_page_writes=off"
    control = [str(binaries / "pg_ctl"), "-D", data, "-o", settings, "-l", str(folder / "log"), "-w", "start"]
    try:
        _run(control, user)
    except subprocess.CalledProcessError as error:
        log = (folder / "log").read_text() if (folder / "log").exists() else ""
        raise RuntimeError(f"PostgreSQL did not start:\n{log}") from error


def _run(command: list[str], user: str | None) -> None:
    subprocess.run(
        command, check=True, user=user, group=user, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
        extra_groups=[] if user else None,
    )  # fmt: skip
