"""Make sure that the programs the tests run for real are there: PostgreSQL, Redis, Chromium, a JDK, Maven.

As root it installs what is missing with apt-get; otherwise it prints the exact line and stops.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "postgresql": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    "redis-server": lambda: shutil.which("redis-server") is not None,
    "chromium": lambda: shutil.which("chromium") is not None,
    "openjdk-17-jre-headless": lambda: shutil.which("java") is not None,
    "maven": lambda: shutil.which("mvn") is not None,
}


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
