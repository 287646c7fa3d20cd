# cython: language_level=3, boundscheck=False, wraparound=False
"""Flat JSON log lines to events: the fast path beside the reference in `flat_json.py`.

Promises the same events, rejects and cuts as the reference. It takes what nearly every line is, an object
without objects inside whose time, level and text stand under the best of their names; each other object goes
to the reference by itself. What is remembered is bounded, and forgotten when full.
"""

import orjson

from ingest.decoders.batch import MAX_FIELD, MAX_LABEL, OLDEST
from ingest.decoders.flat_fields import MAX_ID, known_id, scalar_text
from ingest.decoders.flat_json import read_object
from ingest.decoders.flat_plan import plan_of
from ingest.decoders.log_fields import sequence_key, with_error
from ingest.decoders.severity import from_line, from_name
from ingest.decoders.times import parse_time
from ingest.events import DecodeError, LogEvent

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef object loads = orjson.loads
cdef object BadJson = orjson.JSONDecodeError
cdef Py_ssize_t _SHORT_FIELD = MAX_FIELD // 4
cdef Py_ssize_t _SHORT_LABEL = MAX_LABEL // 4
cdef Py_ssize_t _MAX_ID = MAX_ID
cdef long long _OLDEST = OLDEST
cdef long long _SECOND = 1_000_000_000
cdef Py_ssize_t _REMEMBERED = 4_096


cdef class _Names:
    """What the field names of an object say; `usable` where the fast path may read it."""

    cdef bint usable
    cdef object time, level, body, trace, span, whose
    cdef tuple names, owners
    cdef dict resources

    def __init__(self, tuple names, dict item):
        cdef object plan = plan_of(item)
        self.names = names
        self.usable = bool(plan.only_log and plan.time and plan.body and not plan.number)
        self.time = plan.time[0] if plan.time else None
        self.level = plan.level[0] if plan.level else None
        self.body = plan.body[0] if plan.body else None
        self.trace = plan.trace_id[0] if plan.trace_id else None
        self.span = plan.span_id[0] if plan.span_id else None
        self.whose = plan.whose
        self.owners = tuple(dict.fromkeys([name for some in plan.whose for name in some]))
        self.resources = {}


cdef class Lines:
    """Reads values of one kind after the other; keeps what field names, seconds and levels mean."""

    cdef dict _topics
    cdef dict _seconds
    cdef dict _levels
    cdef dict _plans
    cdef object _defaults

    def __init__(self):
        self._topics = {}
        self._seconds = {}
        self._levels = {}
        self._plans = None
        self._defaults = None

    def read(self, bytes value not None, object batch not None):
        """Add every object's event or reject; False, with the batch as it was, where the reference must."""
        cdef object whole, event, item
        cdef list items
        try:
            whole = loads(value)
        except BadJson:
            items = _by_line(value)
            if items is None:
                return False
        else:
            if type(whole) is list:
                items = whole
            else:
                items = [whole]
        self._use(batch.defaults)
        cdef list events = batch.events
        for item in items:
            event = self._log(item, batch)
            if event is None:
                try:
                    event = read_object(item, batch)
                except DecodeError as error:
                    batch.rejects.append(error.reject)
                    continue
            events.append(event)
        return True

    cdef _use(self, object defaults):
        """Take the plans of a topic's defaults, of which there are few."""
        if defaults is self._defaults:
            return
        known = self._topics.get(id(defaults))
        if known is None:
            if len(self._topics) >= 256:
                self._topics.clear()
            known = self._topics[id(defaults)] = (defaults, {})
        self._defaults = defaults
        self._plans = known[1]

    cdef object _log(self, object item, object batch):
        cdef tuple names
        cdef _Names plan
        cdef object value, body, trace = None, span = None, resource, sequence, first
        cdef object attributes = ()
        cdef long long time
        cdef int number = 0
        cdef tuple owner, rest
        cdef dict kept
        if type(item) is not dict or self._defaults.time_field is not None:
            return None
        names = tuple(item)
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plan(names, item)
        if not plan.usable:
            return None
        for value in (<dict>item).values():
            if type(value) is dict:
                return None
        time = self._time((<dict>item)[plan.time])
        if time < _OLDEST or time > <long long>batch.latest:
            return None
        if plan.level is not None:
            value = (<dict>item)[plan.level]
            if type(value) is not str or not value:
                return None
            first = self._levels.get(value)
            number = first if first is not None else self._level(value)
        first = (<dict>item)[plan.body]
        if type(first) is not str or not first or PyUnicode_GET_LENGTH(first) > _SHORT_FIELD:
            return None
        body = first
        if first[PyUnicode_GET_LENGTH(first) - 1] in "\r\n":
            body = first.rstrip("\r\n")
        if number == 0:
            number = from_line(first)
        if plan.trace is not None:
            value = (<dict>item)[plan.trace]
            if type(value) is not str or not value:
                return None
            trace = value if _is_plain_id(value) else known_id(value)
        if plan.span is not None:
            value = (<dict>item)[plan.span]
            if type(value) is not str or not value:
                return None
            span = value if _is_plain_id(value) else known_id(value)
        owner = self._owner(plan, <dict>item, batch)
        if owner is None:
            return None
        resource, rest = owner
        sequence = trace
        if rest:
            kept = {}
            for name in rest:
                value = (<dict>item)[name]
                if value is not None:
                    kept[name] = value if type(value) is str else scalar_text(value)
            body = batch.text(with_error(body, kept))
            if trace is None:
                sequence = sequence_key(kept, resource.instance)
            attributes = batch.labels(kept.items())
        return LogEvent(
            origin=batch.origin,
            resource=resource,
            time=time,
            body=body,
            severity_number=number,
            trace_id=trace,
            span_id=span,
            sequence_key=sequence,
            attributes=attributes,
        )

    cdef _Names _plan(self, tuple names, dict item):
        cdef _Names plan = _Names(names, item)
        if len(names) <= 64 and len("".join(names)) <= 2_048:
            if len(self._plans) >= 1_024:
                self._plans.clear()
            self._plans[names] = plan
        return plan

    cdef long long _time(self, object value) except? -1:
        """Return a time, 0 where the reference must read it."""
        cdef const unsigned char *text
        cdef Py_ssize_t length, at
        cdef long long fraction = 0, unit = _SECOND
        if type(value) is not str:
            return 0
        length = PyUnicode_GET_LENGTH(value)
        if length < 20 or length > 30 or not PyUnicode_IS_ASCII(value):
            return 0
        text = PyUnicode_1BYTE_DATA(value)
        if text[length - 1] != 90 or (length > 20 and text[19] != 46) or length == 21:
            return 0
        for at in range(20, length - 1):
            if text[at] < 48 or text[at] > 57:
                return 0
            unit //= 10
            fraction += (text[at] - 48) * unit
        key = (<str>value)[:19]
        seconds = self._seconds.get(key)
        if seconds is None:
            nanos = parse_time(key + "Z", None)
            if nanos is None:
                return 0
            if len(self._seconds) >= _REMEMBERED:
                self._seconds.clear()
            seconds = self._seconds[key] = nanos
        return <long long>seconds + fraction

    cdef int _level(self, object name) except -1:
        cdef int number = from_name(name)
        if PyUnicode_GET_LENGTH(name) <= _SHORT_LABEL:
            if len(self._levels) >= 1_024:
                self._levels.clear()
            self._levels[name] = number
        return number

    cdef tuple _owner(self, _Names plan, dict item, object batch):
        """Return whose line it is and the names that no field has taken; None where a name is odd."""
        cdef list values = []
        for name in plan.owners:
            value = item[name]
            if type(value) is not str or PyUnicode_GET_LENGTH(value) > _SHORT_LABEL:
                return None
            values.append(value)
        cdef object key = values[0] if len(values) == 1 else tuple(values)
        found = plan.resources.get(key)
        if found is None:
            resource, used = batch.resource(item, plan.whose)
            taken = {plan.time, plan.level, plan.body, plan.trace, plan.span, *used}
            found = (resource, tuple([name for name in plan.names if name not in taken]))
            if len(plan.resources) >= _REMEMBERED:
                plan.resources.clear()
            plan.resources[key] = found
        return found


cdef list _by_line(bytes value):
    """Return the values of the lines, None where one is no JSON or there is but one."""
    cdef list found = []
    for line in value.split(b"\n"):
        if line.strip():
            try:
                found.append(loads(line))
            except BadJson:
                return None
    return found if len(found) > 1 else None


cdef bint _is_plain_id(object value):
    """Say whether an id stays as it is: lower case, and not all zero."""
    cdef Py_ssize_t at, length = PyUnicode_GET_LENGTH(value)
    cdef const unsigned char *text
    cdef bint some = False
    if length > _MAX_ID or not PyUnicode_IS_ASCII(value):
        return False
    text = PyUnicode_1BYTE_DATA(value)
    for at in range(length):
        if 97 <= text[at] <= 122 or 49 <= text[at] <= 57:
            some = True
        elif text[at] != 48 and text[at] != 45:
            return False
    return some
