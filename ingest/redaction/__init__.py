"""Third step of the flow, between decode and everything else: secrets and personal data leave the events.

Fails closed: an event that cannot be redacted raises `RedactionError` and goes no further.
"""

from ingest.redaction.redactor import RedactionError, Redactor

__all__ = ["RedactionError", "Redactor"]
