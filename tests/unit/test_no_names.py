"""What finds and ranks knows no system by name: no literal of any system that it was measured on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = tuple(
    ROOT / name
    for name in (
        "ingest", "detectors", "agent/suspects", "agent/topology", "agent/incidents", "agent/investigate"
    )
)  # fmt: skip
NAMES = re.compile(
    r"\bts-[a-z]+|train.?ticket|nezha"
    r"|boutique|frontend|(?:ad|cart|checkout|currency|email|payment|recommendation|shipping)service|productcatalog"
    r"|sock.?shop|front-end|\bcarts\b|\bcatalogue\b|queue-master"
    r"|storefront|\bcheckout\b|\bpayments\b|\binventory\b|\borders\b"
    r"|hdfs|\bblk_|\bbgl\b|zookeeper|loghub|\bnab\b",
    re.IGNORECASE,
)
"""Services of the labelled systems and of our own shop, and the data sets themselves."""


def _literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module that are no documentation."""
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_no_room_that_finds_or_ranks_names_a_system(room: Path) -> None:
    """Rules read like what libraries, databases and standards write, never like one system's services."""
    modules = sorted(room.rglob("*.py"))
    assert modules
    for path in modules:
        for line, text in _literals(ast.parse(path.read_text())):
            assert not NAMES.search(text), f"{path.name}:{line}: {text[:80]}"
