"""What OTLP/HTTP answers (OTLP specification, *OTLP/HTTP Response*), in the form that the request had. Pure.

Success may be partial. Everything else is a google.rpc.Status, whose message says what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_TEXT = 500
_CODES = {400: 3, 408: 4, 413: 8, 415: 3, 429: 8, 501: 12, 503: 14}
"""HTTP status → google.rpc.Code."""
_RETRY = {"Retry-After": "5"}
_COMES_AGAIN = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How one signal's items are called in its answer."""

    message: Any
    counted: str

    def success(self, media_type: str, rejected: int = 0, why: str = "") -> Response:
        """Return 200; `rejected` items of the request were refused, the first of them because of `why`."""
        message = self.message()
        if rejected:
            setattr(message.partial_success, self.counted, rejected)
            message.partial_success.error_message = why[:MOST_TEXT]
        if media_type == PROTOBUF:
            return Response(message.SerializeToString(), 200, media_type=PROTOBUF)
        partial = {_camel(self.counted): str(rejected), "errorMessage": why[:MOST_TEXT]}
        return Response(orjson.dumps({"partialSuccess": partial} if rejected else {}), 200, media_type=JSON)


ANSWERS: Mapping[str, Answers] = {
    "logs": Answers(message=ExportLogsServiceResponse, counted="rejected_log_records"),
    "metrics": Answers(message=ExportMetricsServiceResponse, counted="rejected_data_points"),
    "traces": Answers(message=ExportTraceServiceResponse, counted="rejected_spans"),
}


def failure(media_type: str, status: int, detail: str) -> Response:
    """Return a Status; what may pass says when to come again."""
    code, text = _CODES.get(status, 2), detail[:MOST_TEXT]
    headers = _RETRY if status in _COMES_AGAIN else {}
    if media_type == PROTOBUF:
        return Response(_status(code, text.encode()), status, headers, PROTOBUF)
    return Response(orjson.dumps({"code": code, "message": text}), status, headers, JSON)


def _status(code: int, message: bytes) -> bytes:
    """Encode google.rpc.Status: field 1 is the code, field 2 the message."""
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(message)) + message


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
