"""Log lines of systems that no labelled data has, with the statement that wrote each."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

Value = Callable[[random.Random], str]
_NAMES = (
    "alice",
    "bob",
    "carol",
    "dave",
    "erin",
    "frank",
    "grace",
    "heidi",
    "ivan",
    "judy",
    "mallory",
    "niaj",
    "olivia",
    "peggy",
    "rupert",
    "sybil",
    "trent",
    "victor",
)
_APPS = (
    "cart",
    "checkout",
    "payments",
    "orders",
    "search",
    "ledger",
    "profile",
    "gateway",
    "inventory",
    "mailer",
)
_TABLES = (
    "orders",
    "users",
    "carts",
    "events",
    "sessions",
    "invoices",
    "payments",
    "stock",
    "audit_log",
    "jobs",
)
_AGENTS = ("curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64)", "kube-probe/1.29", "Go-http-client/2.0")


def _hex(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(digits * 4):0{digits}x}"


def _letters(rng: random.Random, length: int) -> str:
    return "".join(rng.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(length))


def _time(rng: random.Random) -> str:
    clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    return f"2026-0{rng.randrange(1, 10)}-{rng.randrange(10, 29)}T{clock}"


VALUES: dict[str, Value] = {
    "int": lambda r: str(r.choice((r.randrange(10), r.randrange(1000), r.randrange(10**7)))),
    "float": lambda r: f"{r.random() * 10 ** r.randrange(4):.{r.randrange(1, 4)}f}",
    "ms": lambda r: f"{r.random() * 900:.3f}",
    "dur": lambda r: r.choice((f"{r.randrange(900)}ms", f"{r.random() * 9:.2f}s", f"{r.randrange(60)}µs")),
    "godur": lambda r: r.choice((f"{r.randrange(1, 60)}m{r.randrange(60)}s", f"{r.random() * 99:.6f}ms")),
    "size": lambda r: f"{r.randrange(1, 999)}{r.choice(('KiB', 'MiB', 'Mi', 'GB'))}",
    "heap": lambda r: f"{r.randrange(1, 9999)}M",
    "ip": lambda r: ".".join(str(r.randrange(1, 255)) for _ in range(4)),
    "port": lambda r: str(r.randrange(1024, 65536)),
    "hex": lambda r: _hex(r, r.choice((12, 16, 32))),
    "hash": lambda r: f"sha256:{_hex(r, 64)}",
    "uuid": lambda r: "-".join(_hex(r, n) for n in (8, 4, 4, 4, 12)),
    "name": lambda r: r.choice(_NAMES),
    "app": lambda r: r.choice(_APPS),
    "table": lambda r: r.choice(_TABLES),
    "pod": lambda r: f"{r.choice(_APPS)}-{_hex(r, 10)}-{_letters(r, 5)}",
    "node": lambda r: f"ip-10-0-{r.randrange(256)}-{r.randrange(256)}.ec2.internal",
    "path": lambda r: f"/var/lib/{r.choice(_APPS)}/{_hex(r, 8)}/{r.choice(_TABLES)}.db",
    "url": lambda r: f"https://{r.choice(_APPS)}.shop.example/api/v{r.randrange(1, 3)}/{r.randrange(10**6)}",
    "route": lambda r: f"/{r.choice(_TABLES)}/{r.randrange(10**6)}",
    "status": lambda r: r.choice(("200", "201", "204", "301", "404", "500", "503")),
    "agent": lambda r: r.choice(_AGENTS),
    "time": _time,
    "spaced": lambda r: _time(r).replace("T", " "),
    "percent": lambda r: f"{r.random() * 100:.1f}%",
    "guid": lambda r: "{" + "-".join(_hex(r, n).upper() for n in (8, 4, 4, 4, 12)) + "}",
    "winpath": lambda r: rf"C:\Windows\System32\{r.choice(_APPS)}\{_letters(r, 6)}.dll",
    "sid": lambda r: f"S-1-5-21-{'-'.join(str(r.randrange(10**9)) for _ in range(3))}-{r.randrange(9999)}",
    "bool": lambda r: r.choice(("true", "false")),
    "lsn": lambda r: f"{_hex(r, 1).upper()}/{_hex(r, 8).upper()}",
    "email": lambda r: f"{r.choice(_NAMES)}{r.randrange(99)}@example.com",
}  # fmt: skip

_FIELD = re.compile(r"\{([a-z]+)\}")


def _systems() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    path = Path(__file__).parent.parent / "fixtures" / "unseen_systems.txt"
    for line in path.read_text().splitlines():
        heading = re.fullmatch(r"\[([a-z= ]+)\]", line)
        if heading:
            statements = found.setdefault(heading[1], [])
        elif line and not line.startswith("#"):
            statements.append(line)
    return {name: tuple(lines) for name, lines in found.items()}


SYSTEMS = _systems()
"""By system, the statements that write its lines."""


def lines_of(system: str, seed: int, count: int = 400) -> list[tuple[str, int]]:
    """Return (line, number of its statement), common statements far more often than rare ones."""
    rng = random.Random(f"{system}/{seed}")
    statements = SYSTEMS[system]
    weights = [1 / (1 + rank) for rank in rng.sample(range(len(statements)), len(statements))]
    numbers = rng.choices(range(len(statements)), weights, k=count)
    return [(_filled(statements[number], rng), number) for number in numbers]


def _filled(statement: str, rng: random.Random) -> str:
    return _FIELD.sub(lambda field: VALUES[field[1]](rng), statement)
