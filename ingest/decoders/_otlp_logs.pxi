# LogRecord to LogEvent, as `otlp_logs.read_log` says it.

cdef struct LogFields:
    uint64_t time
    uint64_t observed
    uint64_t severity
    Place body
    Place body_end
    Place trace
    Place trace_end
    Place span
    Place span_end
    Place level
    Place level_end
    Place name
    Place name_end


@cython.final
cdef class LogReading(Reading):
    """Reads an `ExportLogsServiceRequest`."""

    def __cinit__(self, *args):
        self.message = LOGS_REQUEST
        self.roles = LOG_ROLES

    cdef int one(self, Place p, Place stop) except -1:
        cdef LogFields found
        memset(&found, 0, sizeof(LogFields))
        self.forget_item()
        self.walk(p, stop, &found)
        if found.time == 0:
            found.time = found.observed
        if self.version is not None:
            self.insert(&self.version_pair, True)
        if self.odd or self.count > MOST or not self.believed(found.time):
            return self.by_reference(p, stop)
        self.events.append(self.event(&found))
        return 0

    cdef int walk(self, Place p, Place stop, LogFields* found) except -1:
        cdef Place at, end = NULL
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p == NULL:
                raise Refused
            if tag == 0x09:
                p = read_fixed64(p, stop, &found.time)
            elif tag == 0x59:
                p = read_fixed64(p, stop, &found.observed)
            elif tag == 0x10:
                p = read_varint(p, stop, &found.severity)
            elif tag == 0x32 or tag == 0x2A or tag == 0x4A or tag == 0x52 or tag == 0x1A or tag == 0x62:
                at = read_block(p, stop, &end)
                if at == NULL:
                    raise Refused
                self.block(tag, at, end, found)
                p = end
            else:
                p = pass_field(LOG_RECORD, p, stop, tag, 4)
            if p == NULL:
                raise Refused
        return 0

    cdef int block(self, uint32_t tag, Place at, Place end, LogFields* found) except -1:
        if tag == 0x32:
            return self.attribute(at, end, False)
        if tag == 0x4A:
            found.trace, found.trace_end = at, end
        elif tag == 0x52:
            found.span, found.span_end = at, end
        elif tag == 0x2A:
            if found.body != NULL:
                raise Refused
            found.body, found.body_end = at, end
        elif not is_utf8(at, end):
            raise Refused
        elif tag == 0x1A:
            found.level, found.level_end = at, end
        else:
            found.name, found.name_end = at, end
        return 0

    cdef object event(self, LogFields* found):
        cdef PyObject* values[9]
        cdef uint32_t cuts = 0
        cdef object body = self.body(found)
        cdef object time = found.time
        cdef object severity = self.severity(found, body)
        cdef object trace = taken(new_hex(found.trace, found.trace_end))
        cdef object span = taken(new_hex(found.span, found.span_end))
        cdef object key = self.sequence() if trace is None else trace
        cdef object labels = taken(self.labels(&cuts))
        if len(<str> body) > UNCUT_TEXT:
            body = self.batch.text(body)
        self.add_cuts(cuts)
        values[0], values[1] = <PyObject*> self.origin, <PyObject*> self.resource
        values[2], values[3], values[4] = <PyObject*> time, <PyObject*> body, <PyObject*> severity
        values[5], values[6], values[7] = <PyObject*> trace, <PyObject*> span, <PyObject*> key
        values[8] = <PyObject*> labels
        return taken(new_struct(&LOG_EVENT, values))

    cdef object body(self, LogFields* found):
        cdef object text = taken(new_value(found.body, found.body_end))
        cdef object told = self.value_of(EXCEPTION_TYPE)
        cdef object message = self.value_of(EXCEPTION_MESSAGE)
        if told is not None or message is not None:
            text = with_exception(text, {"exception.type": told or "", "exception.message": message or ""})
        return text or taken(new_text(found.name, found.name_end))

    cdef object severity(self, LogFields* found, object body):
        cdef int32_t number = <int32_t> found.severity
        if 1 <= number <= 24:
            return number
        return from_name(taken(new_text(found.level, found.level_end))) or from_line(body)

    cdef object sequence(self):
        """Return what orders lines without a trace, as `log_fields.sequence_key` does."""
        cdef int n, place, best = 0
        cdef object value = None
        for n in range(self.count):
            place = self.item[n].role & SEQUENCE
            if place and (best == 0 or place < best) and PyUnicode_GET_LENGTH(self.item[n].value):
                best, value = place, <object> self.item[n].value
        if best == 0:
            return None
        value = (<str> value)[:LONGEST]
        return value if best <= SESSIONS else self.thread_prefix + value

    cdef int by_reference(self, Place p, Place stop) except -1:
        if not is_whole(LOG_RECORD, p, stop, 4):
            raise Refused
        try:
            item = LogRecord.FromString((<const char*> p)[:stop - p])
            self.events.append(read_log(item, self.resource, self.version, self.batch))
        except DecodeError as error:
            self.refuse(error)
        return 0
