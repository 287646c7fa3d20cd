"""Install the locked requirements and this project into an environment, with a sign of life.

Usage: python install.py ENVIRONMENT_PYTHON LOCKFILE. Compiling llama.cpp takes minutes during which pip
says nothing; a line every 15 seconds tells that it still works.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time


def main(python: str, lock: str) -> int:
    """Run pip twice and return its exit status."""
    started = time.monotonic()
    environment = os.environ | {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 2)}
    steps = (
        [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock],
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", "."],
    )
    for step in steps:
        process = subprocess.Popen(step, env=environment)
        while True:
            try:
                status = process.wait(timeout=15)
                break
            except subprocess.TimeoutExpired:
                print(f"   … installing, {time.monotonic() - started:.0f} s so far", flush=True)
        if status:
            print(f"pip failed with status {status}; see its message above.", file=sys.stderr)
            return status
    print(f"   installed in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
