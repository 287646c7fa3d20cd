# Metric to MetricPoints, as `otlp_metrics.read_metric` says it: gauges and sums. The other forms, and a metric
# with any point that is refused, go the reference path.

cdef struct MetricFields:
    Place name
    Place name_end
    Place unit
    Place unit_end
    Place data
    Place data_end
    uint32_t form

cdef struct PointFields:
    uint64_t start
    uint64_t time
    uint64_t flags
    double value
    bint valued


@cython.final
cdef class MetricReading(Reading):
    """Reads an `ExportMetricsServiceRequest`."""

    cdef object name
    cdef object unit
    cdef object kind
    cdef uint32_t cuts
    # of the metric at hand, counted when all its points are read

    def __cinit__(self, *args):
        self.message = METRICS_REQUEST
        self.roles = NO_ROLES

    cdef int one(self, Place p, Place stop) except -1:
        cdef MetricFields found
        cdef Py_ssize_t before = len(self.events)
        memset(&found, 0, sizeof(MetricFields))
        self.walk(p, stop, &found)
        if found.form == 0x2A or found.form == 0x3A:
            self.name = self.short_text(found.name, found.name_end)
            self.unit = self.short_text(found.unit, found.unit_end)
            self.kind = GAUGE_KIND if found.form == 0x2A else self.sum_kind(found.data, found.data_end)
            if self.name is not None and self.unit is not None:
                self.cuts = 0
                if self.points(found.data, found.data_end, SUM if found.form == 0x3A else GAUGE):
                    return self.add_cuts(self.cuts)
                del self.events[before:]
        return self.by_reference(p, stop) if found.form else 0

    cdef int walk(self, Place p, Place stop, MetricFields* found) except -1:
        cdef Place at, end = NULL
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p == NULL:
                raise Refused
            if tag == 0x0A or tag == 0x1A or tag == 0x2A or tag == 0x3A or tag == 0x4A or tag == 0x52 or tag == 0x5A:
                at = read_block(p, stop, &end)
                if at == NULL or (tag > 0x1A and found.form):
                    raise Refused
                if tag == 0x0A and found.name == NULL:
                    found.name, found.name_end = at, end
                elif tag == 0x1A and found.unit == NULL:
                    found.unit, found.unit_end = at, end
                elif tag <= 0x1A:
                    raise Refused
                else:
                    found.form, found.data, found.data_end = tag, at, end
                p = end
            else:
                p = pass_field(METRIC, p, stop, tag, 4)
            if p == NULL:
                raise Refused
        if not is_utf8(found.name, found.name_end) or not is_utf8(found.unit, found.unit_end):
            raise Refused
        return 0

    cdef object short_text(self, Place p, Place stop):
        """Return a name that no limit cuts, None for any other."""
        cdef PyObject* text = NO_TEXT if p == stop else self.text(p, stop).text
        return <object> text if PyUnicode_GET_LENGTH(text) <= SHORT else None

    cdef object sum_kind(self, Place p, Place stop):
        cdef uint64_t temporality = 0, rising = 0
        cdef Place end = NULL
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x10:
                p = read_varint(p, stop, &temporality)
            elif p != NULL and tag == 0x18:
                p = read_varint(p, stop, &rising)
            elif p != NULL and tag == 0x0A:
                p = end if read_block(p, stop, &end) != NULL else NULL
            elif p != NULL:
                p = pass_field(SUM, p, stop, tag, 5)
            if p == NULL:
                raise Refused
        if <int32_t> temporality == DELTA_TEMPORALITY:
            return DELTA_KIND
        return CUMULATIVE_KIND if rising else GAUGE_KIND

    cdef bint points(self, Place p, Place stop, int message) except -1:
        """Add every point; False where one of them is not plain."""
        cdef Place end = NULL
        cdef uint32_t tag = 0
        cdef bint plain = True
        while p < stop and plain:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x0A:
                p = read_block(p, stop, &end)
                if p != NULL:
                    plain = self.point(p, end)
                    p = end
            elif p != NULL:
                p = pass_field(message, p, stop, tag, 5)
            if p == NULL:
                raise Refused
        return plain

    cdef bint point(self, Place p, Place stop) except -1:
        cdef PointFields found
        memset(&found, 0, sizeof(PointFields))
        self.forget_item()
        self.walk_point(p, stop, &found)
        if <uint32_t> found.flags & NO_RECORDED_VALUE:
            return True
        if self.odd or self.count > MOST or not found.valued or not isfinite(found.value):
            return False
        if not self.believed(found.time):
            return False
        self.events.append(self.event(&found))
        return True

    cdef int walk_point(self, Place p, Place stop, PointFields* found) except -1:
        cdef Place at, end = NULL
        cdef uint64_t bits = 0
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p == NULL:
                raise Refused
            if tag == 0x3A:
                at = read_block(p, stop, &end)
                if at == NULL:
                    raise Refused
                self.attribute(at, end, False)
                p = end
            elif tag == 0x19:
                p = read_fixed64(p, stop, &found.time)
            elif tag == 0x11:
                p = read_fixed64(p, stop, &found.start)
            elif tag == 0x21 or tag == 0x31:
                p = read_fixed64(p, stop, &bits)
                found.valued = True
                if tag == 0x21:
                    memcpy(&found.value, &bits, 8)
                else:
                    found.value = <double> <int64_t> bits
            elif tag == 0x40:
                p = read_varint(p, stop, &found.flags)
            else:
                p = pass_field(NUMBER_POINT, p, stop, tag, 6)
            if p == NULL:
                raise Refused
        return 0

    cdef object event(self, PointFields* found):
        cdef PyObject* values[9]
        cdef object start = found.start if self.kind is not GAUGE_KIND and found.start <= found.time else 0
        cdef object time = found.time
        cdef object value = found.value
        cdef object labels = taken(self.labels(&self.cuts))
        values[0], values[1] = <PyObject*> self.origin, <PyObject*> self.resource
        values[2], values[3], values[4] = <PyObject*> time, <PyObject*> self.name, <PyObject*> value
        values[5], values[6], values[7] = <PyObject*> self.unit, <PyObject*> self.kind, <PyObject*> labels
        values[8] = <PyObject*> start
        return taken(PyObject_Vectorcall(METRIC_POINT, values, 0, METRIC_NAMES))

    cdef int by_reference(self, Place p, Place stop) except -1:
        if not is_whole(METRIC, p, stop, 4):
            raise Refused
        read_metric(MetricMessage.FromString((<const char*> p)[:stop - p]), self.resource, self.batch)
        return 0
