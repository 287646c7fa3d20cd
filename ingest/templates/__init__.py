"""Between redaction and windows: which template a log body belongs to. One miner a service.

Assignment depends on the order of the bodies, so a caller that promises an order (windows do) gets the same
templates every time. A line of a known shape takes one look-up and gets what masks, Drain3's tree and
`ingest.templates.variants` would give it. A template's id is that of its birth. When templates turn out to be
one, the oldest stays and the others' ids become aliases of it. Nothing is forgotten: past `limit`
templates a service, what fits none goes to one overflow template and is counted. Not thread-safe.
"""

from __future__ import annotations

from ingest.templates.miner import DEPTH, SIMILARITY
from ingest.templates.placeholders import Parameter, parameters
from ingest.templates.templates import Templates
from ingest.templates.values import ParameterKind
from ingest.templates.variants import OVERFLOW, Assigned

__all__ = [
    "DEPTH",
    "OVERFLOW",
    "SIMILARITY",
    "Assigned",
    "Parameter",
    "ParameterKind",
    "Templates",
    "parameters",
]
