from ingest.decoders.batch import Batch

class Lines:
    def read(self, value: bytes, batch: Batch) -> bool: ...
