from ingest.events import Decoded, TopicDefaults
from ingest.record import Nanos, Record

class Lines:
    def read(self, record: Record, now: Nanos, defaults: TopicDefaults, auto: bool) -> Decoded | None: ...

def line_times(line: bytes, names: tuple[bytes, ...]) -> list[tuple[Nanos, int, int]] | None: ...
