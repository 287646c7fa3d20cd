# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Flat JSON to events: the fast path beside the reference in `flat_json.py`, from bytes without objects between.

Promises the same events, rejects and cuts as the reference, or nothing at all: `read` returns None for a record
that only the reference may judge. It takes what nearly every object is, one without objects inside whose time,
level and text stand under the best of their names; each other object goes to the reference by itself. Whose a
line is, and all of a metric or span but times, ids and value, is what the reference made of the same bytes
before. What is remembered is bounded.
"""

from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from types import MemberDescriptorType

import orjson

from ingest.decoders.batch import AHEAD, MAX_FIELD, MAX_ITEMS, MAX_LABEL, MAX_LABELS, OLDEST, Batch
from ingest.decoders.flat_fields import MAX_ID, Fields, known_id
from ingest.decoders.flat_json import METRIC, METRIC_KIND, level_and_stated, read_object
from ingest.decoders.flat_plan import PARENT_ID, SPAN_ID, TIME, TRACE_ID, plan_of
from ingest.decoders.flat_spans import DURATION as DURATIONS, END, KIND as SPAN_KIND, NAME as SPAN_NAME
from ingest.decoders.flat_spans import START, STATUS as SPAN_STATUS, is_span
from ingest.decoders.json_text import to_text
from ingest.decoders.log_fields import SESSION, THREAD, TOLD, sequence_key, with_error
from ingest.decoders.otlp_traces import KEPT
from ingest.decoders.recognise import FLAT, form_of
from ingest.decoders.severity import from_line
from ingest.decoders.times import parse_time
from ingest.events import Decoded, DecodeError, LogEvent, MetricPoint, SpanEvent
from ingest.identity import EVERY

cdef extern from "Python.h":
    ctypedef struct PyObject
    void drop "Py_DECREF"(PyObject*)
    void keep "Py_INCREF"(PyObject*)
    PyObject* PyObject_Vectorcall(PyObject*, PyObject* const*, size_t, PyObject*) except NULL
    PyObject* PyList_GET_ITEM(object, Py_ssize_t)
    Py_ssize_t PyBytes_GET_SIZE(PyObject*)
    char* PyBytes_AS_STRING(PyObject*)
    str PyUnicode_New(Py_ssize_t, unsigned int)
    void* PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    bint PyUnicode_IS_ASCII(object)

cdef object loads = orjson.loads
cdef object BadJson = orjson.JSONDecodeError
cdef Py_ssize_t SHORT_FIELD = MAX_FIELD // 4
cdef Py_ssize_t SHORT_LABEL = MAX_LABEL // 4
cdef Py_ssize_t UNCUT_LABEL = MAX_LABEL
cdef Py_ssize_t UNCUT_LABELS = MAX_LABELS
cdef Py_ssize_t MOST_ITEMS = MAX_ITEMS
cdef Py_ssize_t LONGEST_ID = MAX_ID
cdef int64_t OLDEST_TIME = OLDEST
cdef int64_t AHEAD_TIME = AHEAD
cdef frozenset DURATION = frozenset(DURATIONS)
cdef tuple LOG_FIELDS = (
    "origin", "resource", "time", "body", "severity_number", "trace_id", "span_id", "sequence_key", "attributes"
)
cdef tuple METRIC_FIELDS = (
    "origin", "time", "value", "resource", "name", "unit", "kind", "labels", "start", "distribution"
)
cdef tuple SPAN_FIELDS = (
    "origin", "trace_id", "span_id", "parent_span_id", "start", "end",
    "resource", "name", "kind", "error", "peer", "attributes",
)
cdef tuple DECODED_FIELDS = ("events", "rejects", "cuts")
cdef tuple NO_LABELS = ()

include "_flat_scan.pxi"
include "_flat_memo.pxi"
include "_flat_forms.pxi"
include "_structs.pxi"

cdef Maker LOG_EVENT = maker(LogEvent, LOG_FIELDS)
cdef Maker METRIC_POINT = maker(MetricPoint, METRIC_FIELDS)
cdef Maker SPAN_EVENT = maker(SpanEvent, SPAN_FIELDS)
cdef Maker DECODED = maker(Decoded, DECODED_FIELDS)

if not (LOG_EVENT.direct and METRIC_POINT.direct and SPAN_EVENT.direct and DECODED.direct):
    raise ImportError("events are not made as they were when this was written: the reference reads alone")

include "_flat_values.pxi"
include "_flat_items.pxi"


cdef class Lines(Items):
    """Reads records one after the other; keeps what field names mean, and whose the last lines were."""

    cdef dict topics

    def __init__(self):
        super().__init__()
        self.topics = {}

    def read(self, object record not None, object now not None, object defaults not None, bint auto):
        """Return what `decode` would; None where the reference must read it. Raises DecodeError as it does.

        With `auto` only records are read that are flat JSON and no other format.
        """
        cdef bytes value = record.value
        cdef const char* start = value
        cdef object decoded
        self.use(defaults)
        self.record, self.now, self.origin = record, now, record.origin
        self.latest = <int64_t> now + AHEAD_TIME
        self.batch, self.events = None, []
        try:
            if not self.lines(<Place> start, <Place> start + len(value), auto):
                return None
            return self.decoded()
        finally:
            self.record = self.batch = self.events = None

    cdef use(self, object defaults):
        """Take the forms of a topic's defaults, of which there are few."""
        if self.topic is not None and defaults is self.topic.defaults:
            return
        known = self.topics.get(id(defaults))
        if known is None:
            if len(self.topics) >= 256:
                self.topics.clear()
            known = self.topics[id(defaults)] = Topic(defaults)
        self.topic = known

    cdef bint lines(self, Place p, Place end, bint auto) except -1:
        """Read one object, an object a line or an array of objects; False for the reference."""
        cdef Place stop
        cdef Py_ssize_t items = 0
        cdef bint listed = False, made
        p = skip_space(p, end)
        if p < end and p[0] == 91:
            listed = True
            p = skip_space(p + 1, end)
        while p < end:
            if p[0] != 123:
                return False
            stop = scan_object(p, end, &self.found)
            if stop != NULL:
                stop = skip_space(stop, end) if listed else skip_blanks(stop, end)
                if listed and (stop >= end or (stop[0] != 44 and stop[0] != 93)):
                    return False
                if not listed and stop < end and stop[0] != 10:
                    stop = NULL
            if stop == NULL and (listed or auto):
                return False
            made = False
            if stop != NULL:
                form = self.topic.form(&self.found, self)
                if auto and not form.plain:
                    return False
                made = self.take(form, p, stop)
            if not made:
                if stop == NULL:
                    stop = <Place> memchr(p, 10, end - p)
                    if stop == NULL:
                        stop = end
                if not self.leave(p, stop):
                    return False
            items += 1
            if items > MOST_ITEMS:
                return False
            if listed:
                p = skip_space(stop + 1, end)
                if stop[0] == 93:
                    return p == end
            else:
                p = skip_space(stop, end)
        return items > 0 and not listed

    cdef bint leave(self, Place p, Place stop) except -1:
        """Have the reference read one object; False where that is none at all."""
        try:
            item = loads((<const char*> p)[:stop - p])
        except BadJson:
            return False
        self.refer(item)
        return True

    cdef object decoded(self):
        cdef object events, cuts = NO_LABELS
        if self.batch is not None:
            self.batch.events = self.events
            return self.batch.decoded()
        events = tuple(self.events)
        cdef PyObject* values[3]
        values[0], values[1], values[2] = <PyObject*> events, <PyObject*> NO_LABELS, <PyObject*> NO_LABELS
        return taken(new_struct(&DECODED, values))


def line_times(bytes line not None, tuple names not None):
    """Return (time, where its text begins, where it ends) of each name's value in a line of flat JSON.

    None for everything else: a line that is no JSON, that has a name twice, or a time in another form.
    """
    cdef Scanned found
    cdef const char* start = line
    cdef Place end = <Place> start + len(line)
    cdef Place stop
    cdef const Token* token
    cdef int64_t time
    cdef list times = []
    cdef int n
    if line[:1] != b"{":
        return None
    stop = scan_object(<Place> start, end, &found)
    if stop == NULL or skip_space(stop, end) != end:
        return None
    for n in range(found.count):
        token = &found.tokens[n]
        if (token.kind == RICH or token.kind == LIST) and read_token(token) is None:
            return None
    for name in names:
        told = None
        for n in range(found.count):
            token = &found.tokens[n]
            if token.name_size != len(name) or memcmp(token.name, <const char*> name, token.name_size) != 0:
                continue
            time = utc_nanos(token.start, token.size) if token.kind == STRING else 0
            if time == 0 or told is not None:
                return None
            told = (time, token.start - <Place> start, token.start + token.size - <Place> start)
        if told is None:
            return None
        times.append(told)
    return times
