# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""OTLP requests to events without protobuf's objects: the fast path beside the reference in `otlp.py`.

Promises the same events, rejects and cuts as the reference, or nothing at all: `read_*` returns False, with
the batch as it was, for a request that only the reference may judge (malformed, or legal but rare). The
telemetry is untrusted: bytes are read only below an end that was checked, and depth is bounded.
"""

cimport cython
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from types import MemberDescriptorType

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as MetricMessage
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from ingest.decoders import log_fields
from ingest.decoders.batch import MAX_FIELD, OLDEST
from ingest.decoders.log_fields import with_exception
from ingest.decoders.otlp_logs import read_log
from ingest.decoders.otlp_metrics import read_metric
from ingest.decoders.otlp_traces import KEPT as KEPT_NAMES, KINDS, PEER_NAMES, host, read_span
from ingest.decoders.otlp_values import attribute_map, owner_of, value_text
from ingest.decoders.severity import from_line, from_name
from ingest.distribution import Buckets, Distribution
from ingest.events import DecodeError, LogEvent, MetricKind, MetricPoint, SpanEvent

cdef extern from "Python.h":
    ctypedef struct PyObject
    void drop "Py_DECREF"(PyObject*)
    void xdrop "Py_XDECREF"(PyObject*)
    void keep "Py_INCREF"(PyObject*)
    void xkeep "Py_XINCREF"(PyObject*)
    void PyErr_Clear()
    PyObject* PyUnicode_DecodeUTF8(const char*, Py_ssize_t, const char*) except NULL
    PyObject* try_decode "PyUnicode_DecodeUTF8"(const char*, Py_ssize_t, const char*)
    PyObject* PyUnicode_New(Py_ssize_t, uint32_t) except NULL
    void* PyUnicode_DATA(PyObject*)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject*)
    const char* PyUnicode_AsUTF8AndSize(PyObject*, Py_ssize_t*) except NULL
    PyObject* PyLong_FromUnsignedLongLong(unsigned long long) except NULL
    PyObject* PyTuple_New(Py_ssize_t) except NULL
    PyObject* PyTuple_GET_ITEM(PyObject*, Py_ssize_t)
    void PyTuple_SET_ITEM(PyObject*, Py_ssize_t, PyObject*)
    void PyObject_GC_UnTrack(void*)
    PyObject* PyDict_GetItem(object, object)
    PyObject* PyObject_Vectorcall(PyObject*, PyObject* const*, size_t, PyObject*) except NULL


class Refused(Exception):
    """The request is for the reference path."""


cdef uint8_t HEX[256][2]
cdef int byte
for byte in range(256):
    HEX[byte][0], HEX[byte][1] = b"%02x" % byte
cdef uint64_t OLDEST_TIME = OLDEST
cdef Py_ssize_t UNCUT_TEXT = MAX_FIELD // 4
cdef Py_ssize_t LONGEST = log_fields.LONGEST
cdef int SESSIONS = len(log_fields.SESSION)
cdef int MAX_RESOURCE = 8192
cdef int MAX_RESOURCES = 1024
cdef int MAX_DEFAULTS = 64
cdef enum:
    STATUS_ERROR = 2
    NO_RECORDED_VALUE = 1
    DELTA_TEMPORALITY = 1

include "_otlp_wire.pxi"
include "_otlp_schema.pxi"
include "_otlp_values.pxi"

VERSION_TEXT = "service.version"
cdef bytes VERSION_BYTES = VERSION_TEXT.encode()
cdef const uint8_t* VERSION_NAME = VERSION_BYTES
NO_ROLES = {}
LOG_ROLES = {name: place for place, name in enumerate((*log_fields.SESSION, *log_fields.THREAD), start=1)}
LOG_ROLES |= {"exception.type": EXCEPTION_TYPE, "exception.message": EXCEPTION_MESSAGE}
SPAN_ROLES = dict.fromkeys(KEPT_NAMES, KEPT)
for place, name in enumerate(PEER_NAMES, start=1):
    SPAN_ROLES[name] = SPAN_ROLES.get(name, 0) | place << 8

cdef tuple SPAN_KINDS = KINDS
cdef object GAUGE_KIND = MetricKind.GAUGE
cdef object CUMULATIVE_KIND = MetricKind.CUMULATIVE
cdef object DELTA_KIND = MetricKind.DELTA
cdef object EMPTY = ""
cdef object TRUE = "true"
cdef object FALSE = "false"
cdef object FAILED = True
cdef object FINE = False
cdef tuple LOG_FIELDS = (
    "origin", "resource", "time", "body", "severity_number", "trace_id", "span_id", "sequence_key", "attributes"
)
cdef tuple SPAN_FIELDS = (
    "origin", "resource", "trace_id", "span_id", "parent_span_id", "name", "start", "end", "kind", "error", "peer",
    "attributes"
)
cdef tuple METRIC_FIELDS = ("origin", "resource", "time", "name", "value", "unit", "kind", "labels", "start", "distribution")
cdef tuple DISTRIBUTION_FIELDS = (
    "count", "total", "minimum", "maximum", "bounds", "counts", "scale", "zero", "positive", "negative"
)
cdef object NO_BUCKETS = Buckets()
cdef PyObject* NO_TEXT = <PyObject*> EMPTY

include "_structs.pxi"

cdef Maker LOG_EVENT = maker(LogEvent, LOG_FIELDS)
cdef Maker SPAN_EVENT_MAKER = maker(SpanEvent, SPAN_FIELDS)
cdef Maker METRIC_POINT = maker(MetricPoint, METRIC_FIELDS)
cdef Maker DISTRIBUTION = maker(Distribution, DISTRIBUTION_FIELDS)

include "_otlp_reading.pxi"
include "_otlp_logs.pxi"
include "_otlp_traces.pxi"
include "_otlp_histograms.pxi"
include "_otlp_metrics.pxi"


cdef class Requests:
    """Reads requests; remembers which resource given bytes describe, up to a bound, and nothing else."""

    cdef dict memory
    cdef object defaults
    cdef dict known

    def __init__(self):
        self.memory = {}

    def read_logs(self, bytes value, batch) -> bool:
        """Read an `ExportLogsServiceRequest`; False where nothing was read."""
        return read(LogReading(self.resources(batch), batch), value)

    def read_metrics(self, bytes value, batch) -> bool:
        """Read an `ExportMetricsServiceRequest`; False where nothing was read."""
        return read(MetricReading(self.resources(batch), batch), value)

    def read_traces(self, bytes value, batch) -> bool:
        """Read an `ExportTraceServiceRequest`; False where nothing was read."""
        return read(TraceReading(self.resources(batch), batch), value)

    def first_item(self, bytes value) -> bytes | None:
        """Return the bytes of a request's first item, None where it has none or is not plainly a request."""
        cdef const char* start = value
        cdef Place found = <Place> start, stop = <Place> start + len(value)
        if not find_item(&found, &stop, 0):
            return None
        return (<const char*> found)[:stop - found]

    cdef dict resources(self, batch):
        """Return what is known of resources under these defaults."""
        defaults = batch.defaults
        if defaults is self.defaults:
            return self.known
        known = self.memory.get(defaults)
        if known is None:
            if len(self.memory) >= MAX_DEFAULTS:
                self.memory.clear()
            known = self.memory[defaults] = {}
        self.defaults, self.known = defaults, known
        return known


cdef bint read(Reading reading, bytes value) except -1:
    """Read all of a request, or leave the batch as it was."""
    cdef const char* start = value
    cdef object batch = reading.batch
    cdef Py_ssize_t events = len(batch.events), rejects = len(batch.rejects)
    cdef dict cuts = dict(batch.cuts)
    try:
        reading.request(<Place> start, <Place> start + len(value))
    except (Refused, UnicodeDecodeError, ProtobufError):
        del batch.events[events:], batch.rejects[rejects:]
        batch.cuts.clear()
        batch.cuts.update(cuts)
        return False
    return True


cdef bint find_item(Place* found, Place* stop, int level) noexcept:
    """Narrow the bytes down to the first item of the first scope that has one."""
    cdef Place p = found[0], end = stop[0], at, at_end = NULL
    cdef uint32_t tag = 0
    if level == 3:
        return True
    while p < end:
        p = read_tag(p, end, &tag)
        if p != NULL and tag == (0x0A if level == 0 else 0x12):
            at = read_block(p, end, &at_end)
            if at == NULL:
                return False
            p = at_end
            if find_item(&at, &at_end, level + 1):
                found[0], stop[0] = at, at_end
                return True
        elif p != NULL:
            p = skip_unknown(p, end, tag)
        if p == NULL:
            return False
    return False
