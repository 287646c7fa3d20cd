"""Records from Kafka. The only room of the tree, beside the producer, that knows kafka-python."""

from ingest.sources.kafka.source import KafkaSource

__all__ = ["KafkaSource"]
