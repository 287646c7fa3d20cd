"""A small disk for a service: a tmpfs of its own size in a mount namespace of its own.

The mount is seen by that one process and vanishes with it, so nothing is left on the machine. It takes the
right to mount; without it the service writes into a plain folder, which no fault can fill.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

VOLUME_BYTES = 48 * 1024 * 1024
_MOUNT_AND_BECOME = 'mount -t tmpfs -o size=$1 shop-volume "$2" && shift 2 && exec "$@"'


def volume_prefix(folder: Path, size: int = VOLUME_BYTES) -> list[str]:
    """Return the command that mounts a disk of `size` bytes at `folder` and becomes the command after it."""
    return ["unshare", "--mount", "sh", "-c", _MOUNT_AND_BECOME, "sh", str(size), str(folder)]


def why_no_volume(folder: Path) -> str | None:
    """Return what keeps us from mounting at `folder`, None when it works. It is tried, not guessed."""
    if shutil.which("unshare") is None:
        return "unshare is missing: `apt-get install -y util-linux`"
    tried = subprocess.run(
        [*volume_prefix(folder), "true"], capture_output=True, text=True, check=False, timeout=20
    )
    if tried.returncode == 0:
        return None
    return tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else f"status {tried.returncode}"
