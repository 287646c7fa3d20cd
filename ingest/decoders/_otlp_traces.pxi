# Span to SpanEvent, as `otlp_traces.read_span` says it.

cdef enum:
    PEER_SERVICE, SERVER_ADDRESS, NET_PEER_NAME, DB_SYSTEM_NAME, DB_SYSTEM, MESSAGING_SYSTEM
    MESSAGING_DESTINATION, RPC_SERVICE
    PEERS
    # in the order of `PEER_NAMES`

cdef enum:
    KIND_SERVER = 2
    KIND_CLIENT = 3
    KIND_PRODUCER = 4
    EXCEPTIONS = 4
    # events named exception of a span on this path

cdef struct SpanFields:
    uint64_t start
    uint64_t end
    uint64_t kind
    Place trace
    Place trace_end
    Place span
    Place span_end
    Place parent
    Place parent_end
    Place name
    Place name_end
    Place status
    bint error
    int exceptions
    Place exception[EXCEPTIONS]
    Place exception_end[EXCEPTIONS]

cdef str joined(str first, str second):
    return f"{first}:{second}" if second else first


@cython.final
cdef class TraceReading(Reading):
    """Reads an `ExportTraceServiceRequest`."""

    cdef PyObject* told[PEERS]
    cdef dict hosts

    def __cinit__(self, *args):
        self.message = TRACES_REQUEST
        self.roles = SPAN_ROLES

        self.keeps_all = False
        self.hosts = {}

    cdef int one(self, Place p, Place stop) except -1:
        cdef SpanFields found
        cdef int n
        memset(&found, 0, sizeof(SpanFields))
        self.forget_item()
        self.walk(p, stop, &found)
        for n in range(found.exceptions):
            self.exception_event(found.exception[n], found.exception_end[n])
        if self.version is not None:
            self.insert(&self.version_pair, True)
        if (
            self.odd or self.count > MOST or found.end < found.start
            or not self.believed(found.start) or not self.believed(found.end)
        ):
            return self.by_reference(p, stop)
        return self.event(p, stop, &found)

    cdef int walk(self, Place p, Place stop, SpanFields* found) except -1:
        cdef Place at, end = NULL
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p == NULL:
                raise Refused
            if tag == 0x39:
                p = read_fixed64(p, stop, &found.start)
            elif tag == 0x41:
                p = read_fixed64(p, stop, &found.end)
            elif tag == 0x30:
                p = read_varint(p, stop, &found.kind)
            elif tag == 0x4A or tag == 0x0A or tag == 0x12 or tag == 0x22 or tag == 0x2A or tag == 0x5A or tag == 0x7A:
                at = read_block(p, stop, &end)
                if at == NULL:
                    raise Refused
                self.block(tag, at, end, found)
                p = end
            else:
                p = pass_field(SPAN, p, stop, tag, 4)
            if p == NULL:
                raise Refused
        return 0

    cdef int block(self, uint32_t tag, Place at, Place end, SpanFields* found) except -1:
        if tag == 0x4A:
            return self.attribute(at, end, False)
        if tag == 0x0A:
            found.trace, found.trace_end = at, end
        elif tag == 0x12:
            found.span, found.span_end = at, end
        elif tag == 0x22:
            found.parent, found.parent_end = at, end
        elif tag == 0x2A:
            if found.name != NULL:
                raise Refused
            found.name, found.name_end = at, end
        elif tag == 0x5A:
            return self.span_event(at, end, found)
        elif found.status != NULL:
            raise Refused
        else:
            found.status = at
            found.error = self.failed(at, end)
        return 0

    cdef bint failed(self, Place p, Place stop) except -1:
        """Return whether a Status says so."""
        cdef uint64_t code = 0
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p != NULL:
                p = read_varint(p, stop, &code) if tag == 0x18 else pass_field(STATUS, p, stop, tag, 5)
            if p == NULL:
                raise Refused
        return <int32_t> code == STATUS_ERROR

    cdef int span_event(self, Place p, Place stop, SpanFields* found) except -1:
        """Remember an event that tells an exception; check any other."""
        cdef uint32_t tag = 0
        cdef Place at = p, name, end = NULL
        cdef bint tells = False
        while at < stop:
            at = read_tag(at, stop, &tag)
            if at != NULL and tag == 0x12:
                name = read_block(at, stop, &end)
                if name == NULL or not is_utf8(name, end):
                    raise Refused
                tells = end - name == 9 and memcmp(name, b"exception", 9) == 0
                at = end
            elif at != NULL:
                at = pass_field(SPAN_EVENT, at, stop, tag, 5)
            if at == NULL:
                raise Refused
        if tells and found.exceptions == EXCEPTIONS:
            self.odd = True
        elif tells:
            found.exception[found.exceptions], found.exception_end[found.exceptions] = p, stop
            found.exceptions += 1
        return 0

    cdef int exception_event(self, Place p, Place stop) except -1:
        """Take over what an event, checked before, tells about the exception and the span does not."""
        cdef uint32_t tag = 0
        cdef Place at, end = NULL
        cdef Pair* told
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x1A:
                at = read_block(p, stop, &end)
                told = self.pair(at, end)
                if told.role & KEPT:
                    self.insert(told, True)
                p = end
            elif p != NULL:
                p = pass_field(SPAN_EVENT, p, stop, tag, 5)
            if p == NULL:
                raise Refused
        return 0

    cdef int event(self, Place p, Place stop, SpanFields* found) except -1:
        cdef object trace = taken(new_hex(found.trace, found.trace_end))
        cdef object span = taken(new_hex(found.span, found.span_end))
        cdef PyObject* name = self.text(found.name, found.name_end).text if found.name != NULL else NO_TEXT
        cdef PyObject* values[12]
        cdef uint32_t cuts = 0
        if trace is None or span is None or PyUnicode_GET_LENGTH(name) > SHORT:
            return self.by_reference(p, stop)
        cdef object parent = taken(new_hex(found.parent, found.parent_end))
        cdef object start = found.start
        cdef object end = found.end
        cdef int32_t number = <int32_t> found.kind
        cdef PyObject* kind = <PyObject*> SPAN_KINDS[number if 0 <= number < 6 else 0]
        cdef object failed = FAILED if found.error else FINE
        cdef object peer = self.peer(number)
        if peer is not None and len(<str> peer) > SHORT:
            peer = self.batch.name(peer)
        cdef object labels = taken(self.labels(&cuts))
        self.add_cuts(cuts)
        values[0], values[1] = <PyObject*> self.origin, <PyObject*> self.resource
        values[2], values[3], values[4] = <PyObject*> trace, <PyObject*> span, <PyObject*> parent
        values[5], values[6], values[7] = name, <PyObject*> start, <PyObject*> end
        values[8], values[9] = kind, <PyObject*> failed
        values[10], values[11] = <PyObject*> peer, <PyObject*> labels
        self.events.append(taken(new_struct(&SPAN_EVENT_MAKER, values)))
        return 0

    cdef object peer(self, int kind):
        """Return the other side of the span, as `peer_of` does."""
        cdef int n, place
        for n in range(PEERS):
            self.told[n] = NULL
        for n in range(self.count):
            place = (self.item[n].role & PEER) >> 8
            if place and PyUnicode_GET_LENGTH(self.item[n].value):
                self.told[place - 1] = self.item[n].value
        cdef str named = self.first(PEER_SERVICE, PEER_SERVICE)
        if named is not None:
            return named
        cdef str system = self.first(DB_SYSTEM_NAME, DB_SYSTEM)
        if system is not None and kind != KIND_SERVER:
            return joined(system, self.host_of(self.first(SERVER_ADDRESS, NET_PEER_NAME)))
        if kind != KIND_CLIENT and kind != KIND_PRODUCER:
            return None
        cdef str address = self.host_of(self.first(SERVER_ADDRESS, NET_PEER_NAME))
        cdef str queue = self.first(MESSAGING_SYSTEM, MESSAGING_SYSTEM)
        if queue is not None:
            return joined(queue, self.first(MESSAGING_DESTINATION, MESSAGING_DESTINATION) or address)
        return address or self.first(RPC_SERVICE, RPC_SERVICE)

    cdef str host_of(self, str address):
        """Return what `host` says, asked once about an address of the request."""
        if address is None:
            return None
        known = self.hosts.get(address)
        if known is None:
            known = self.hosts[address] = host(address)
        return known

    cdef str first(self, int place, int other):
        """Return the value that stands at one of two places, None where both are absent or empty."""
        cdef PyObject* value = self.told[place] if self.told[place] != NULL else self.told[other]
        return None if value == NULL else <str> <object> value

    cdef int by_reference(self, Place p, Place stop) except -1:
        if not is_whole(SPAN, p, stop, 4):
            raise Refused
        try:
            item = SpanMessage.FromString((<const char*> p)[:stop - p])
            self.events.append(read_span(item, self.resource, self.version, self.batch))
        except DecodeError as error:
            self.refuse(error)
        return 0
