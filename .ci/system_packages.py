"""Make sure that the programs the tests run for real are there: databases, Chromium, a JDK, real shippers.

As root it installs what is missing with apt-get; otherwise it prints the exact line and stops. No daemon is
started by an installation: the tests start their own, on their own ports.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def _program(name: str) -> bool:
    """Tell whether a program is there; daemons stand where an ordinary user's PATH does not look."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return shutil.which(name, path=path) is not None


def _library(pattern: str) -> bool:
    return any(Path("/usr/lib").glob(pattern))


PACKAGES = {
    "postgresql": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    "redis-server": lambda: _program("redis-server"),
    "chromium": lambda: _program("chromium"),
    "openjdk-17-jre-headless": lambda: _program("java"),
    "maven": lambda: _program("mvn"),
    "rsyslog": lambda: _program("rsyslogd"),
    "rsyslog-kafka": lambda: _library("*/rsyslog/omkafka.so"),
    "prometheus": lambda: _program("prometheus"),
    "prometheus-alertmanager": lambda: _program("prometheus-alertmanager"),
    "collectd-core": lambda: _program("collectd"),
    "libyajl2": lambda: _library("*/libyajl.so.2"),
}
POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian's packages ask before they start what they install; 101 says no."""


@contextlib.contextmanager
def nothing_started() -> Iterator[None]:
    """Keep packages from starting their daemons; a policy that is there already is left as it is."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def main() -> int:
    """Return 0 when everything is there, or could be installed."""
    missing = [name for name, there in PACKAGES.items() if not there()]
    if not missing:
        return 0
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    line = " ".join(install)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            f"The tests need {', '.join(missing)}. Run this, then try again:\n\n    sudo {line}\n",
            file=sys.stderr,
        )
        return 1
    print(f"== Installing {', '.join(missing)}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with nothing_started():
        for command in (["apt-get", "update", "-qq"], [*install, "-qq"]):
            status = subprocess.call(command, env=environment, stdout=subprocess.DEVNULL)
            if status:
                print(f"{' '.join(command)} failed with status {status}.", file=sys.stderr)
                return status
    still = [name for name in missing if not PACKAGES[name]()]
    if still:
        print(f"Still missing after installation: {', '.join(still)}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
