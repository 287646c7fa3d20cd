"""At the edge of Kafka: client settings by kafka-python's own names, checked before a client sees them.

Pure. A misspelt setting is an error that names the nearest one; a setting that Faultline's promises rest on
cannot be overridden.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any


def checked_settings(
    given: Mapping[str, Any], *, known: Collection[str], reserved: Mapping[str, str], client: str
) -> dict[str, Any]:
    """Return `given` when every name is known and free to choose. Raises ValueError saying what to write."""
    for name in given:
        if name in reserved:
            raise ValueError(f"{client} setting {name!r} cannot be set here: {reserved[name]}")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"kafka-python's {client} has no setting {name!r}{hint}")
    return dict(given)
