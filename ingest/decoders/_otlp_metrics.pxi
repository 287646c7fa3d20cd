# Metric to MetricPoints, as `otlp_metrics.read_metric` says it, but for summaries. These, and a metric with any
# point that is refused, go the reference path.

cdef enum Form:
    # tags of the member of Metric's `data`
    OF_GAUGE = 0x2A
    OF_SUM = 0x3A
    OF_HISTOGRAM = 0x4A
    OF_EXPONENTIAL = 0x52
    OF_SUMMARY = 0x5A


cdef int message_of(uint32_t form) noexcept:
    if form == OF_GAUGE:
        return GAUGE
    if form == OF_SUM:
        return SUM
    return HISTOGRAM if form == OF_HISTOGRAM else EXPONENTIAL_HISTOGRAM


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
    cdef object bounds
    cdef Place bounds_start
    cdef Place bounds_stop
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
        if found.form == 0 or found.form == OF_SUMMARY:
            return self.by_reference(p, stop) if found.form else 0
        self.name = self.short_text(found.name, found.name_end)
        self.unit = self.short_text(found.unit, found.unit_end)
        self.kind = GAUGE_KIND
        if found.form != OF_GAUGE:
            self.kind = self.kind_of(found.data, found.data_end, found.form)
        if self.name is not None and self.unit is not None:
            self.cuts = 0
            if self.points(found.data, found.data_end, found.form):
                return self.add_cuts(self.cuts)
            del self.events[before:]
        return self.by_reference(p, stop)

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

    cdef object kind_of(self, Place p, Place stop, uint32_t form):
        cdef uint64_t temporality = 0, rising = 0
        cdef Place end = NULL
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x10:
                p = read_varint(p, stop, &temporality)
            elif p != NULL and tag == 0x18 and form == OF_SUM:
                p = read_varint(p, stop, &rising)
            elif p != NULL and tag == 0x0A:
                p = end if read_block(p, stop, &end) != NULL else NULL
            elif p != NULL:
                p = pass_field(message_of(form), p, stop, tag, 5)
            if p == NULL:
                raise Refused
        if <int32_t> temporality == DELTA_TEMPORALITY:
            return DELTA_KIND
        return CUMULATIVE_KIND if rising or form != OF_SUM else GAUGE_KIND

    cdef bint points(self, Place p, Place stop, uint32_t form) except -1:
        """Add every point; False where one of them is not plain."""
        cdef Place end = NULL
        cdef uint32_t tag = 0
        cdef bint plain = True
        while p < stop and plain:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x0A:
                p = read_block(p, stop, &end)
                if p != NULL:
                    plain = self.point(p, end) if form <= OF_SUM else self.histogram(p, end, form)
                    p = end
            elif p != NULL:
                p = pass_field(message_of(form), p, stop, tag, 5)
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
        self.events.append(self.event(found.start, found.time, found.value, None))
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

    cdef bint histogram(self, Place p, Place stop, uint32_t form) except -1:
        """Add a point with a distribution; False where it is not plain."""
        cdef HistogramFields found
        cdef object made
        begin_histogram(&found)
        self.forget_item()
        if form == OF_HISTOGRAM:
            self.walk_explicit(p, stop, &found)
        else:
            self.walk_exponential(p, stop, &found)
        if <uint32_t> found.flags & NO_RECORDED_VALUE:
            if not is_whole(HISTOGRAM_POINT if form == OF_HISTOGRAM else EXPONENTIAL_POINT, p, stop, 6):
                raise Refused
            return True
        if found.odd or self.odd or self.count > MOST or not self.believed(found.time):
            return False
        if form == OF_EXPONENTIAL:
            made = exponential_of(&found)
        else:
            bounds = self.bounds_at(found.bounds, found.bounds_end)
            made = None if bounds is None else explicit_of(&found, bounds)
        if made is None:
            return False
        self.events.append(self.event(found.start, found.time, <double> made.count, made))
        return True

    cdef object bounds_at(self, Place p, Place stop):
        """Return bounds, read again only where they differ from those of the point before."""
        if p == stop:
            return ()
        if self.bounds is None or stop - p != self.bounds_stop - self.bounds_start or (
            memcmp(p, self.bounds_start, stop - p)
        ):
            self.bounds = bounds_of(p, stop)
            self.bounds_start, self.bounds_stop = p, stop
        return self.bounds

    cdef int walk_explicit(self, Place p, Place stop, HistogramFields* found) except -1:
        cdef Place at, end = NULL
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p == NULL:
                raise Refused
            if tag == 0x4A:
                at = read_block(p, stop, &end)
                if at == NULL:
                    raise Refused
                self.attribute(at, end, False)
                p = end
            elif tag == 0x32:
                p = self.once(p, stop, &found.counts, &found.counts_end)
            elif tag == 0x3A:
                p = self.once(p, stop, &found.bounds, &found.bounds_end)
            elif tag == 0x50:
                p = read_varint(p, stop, &found.flags)
            elif tag == 0x59:
                p = read_double(p, stop, &found.minimum)
            elif tag == 0x61:
                p = read_double(p, stop, &found.maximum)
            else:
                p = self.shared(p, stop, tag, HISTOGRAM_POINT, found)
            if p == NULL:
                raise Refused
        if (found.counts_end - found.counts) % 8 or (found.bounds_end - found.bounds) % 8:
            raise Refused
        return 0

    cdef Place shared(self, Place p, Place stop, uint32_t tag, int message, HistogramFields* found) noexcept:
        """Read a field that both forms have under one number, or pass over it."""
        if tag == 0x11:
            return read_fixed64(p, stop, &found.start)
        if tag == 0x19:
            return read_fixed64(p, stop, &found.time)
        if tag == 0x21:
            return read_fixed64(p, stop, &found.count)
        if tag == 0x29:
            found.has_total = True
            return read_double(p, stop, &found.total)
        if message == HISTOGRAM_POINT and (tag == 0x31 or tag == 0x39):
            found.odd = True  # a list that is not packed
        return pass_field(message, p, stop, tag, 6)

    cdef Place once(self, Place p, Place stop, Place* at, Place* end) noexcept:
        """Read a block; where it comes a second time, the item is odd."""
        if at[0] != NULL:
            self.odd = True
        at[0] = read_block(p, stop, end)
        if at[0] == NULL:
            return NULL
        return end[0]

    cdef int walk_exponential(self, Place p, Place stop, HistogramFields* found) except -1:
        cdef Place at, end = NULL
        cdef uint32_t tag = 0
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p == NULL:
                raise Refused
            if tag == 0x0A:
                at = read_block(p, stop, &end)
                if at == NULL:
                    raise Refused
                self.attribute(at, end, False)
                p = end
            elif tag == 0x42:
                p = self.once(p, stop, &found.positive, &found.positive_end)
            elif tag == 0x4A:
                p = self.once(p, stop, &found.negative, &found.negative_end)
            elif tag == 0x30:
                p = read_varint(p, stop, &found.scale)
            elif tag == 0x39:
                p = read_fixed64(p, stop, &found.zero)
            elif tag == 0x50:
                p = read_varint(p, stop, &found.flags)
            elif tag == 0x61:
                p = read_double(p, stop, &found.minimum)
            elif tag == 0x69:
                p = read_double(p, stop, &found.maximum)
            else:
                p = self.shared(p, stop, tag, EXPONENTIAL_POINT, found)
            if p == NULL:
                raise Refused
        return 0

    cdef object event(self, uint64_t since, uint64_t at, double number, object distribution):
        cdef PyObject* values[10]
        cdef object start = since if self.kind is not GAUGE_KIND and since <= at else 0
        cdef object time = at
        cdef object value = number
        cdef object labels = taken(self.labels(&self.cuts))
        values[0], values[1] = <PyObject*> self.origin, <PyObject*> self.resource
        values[2], values[3], values[4] = <PyObject*> time, <PyObject*> self.name, <PyObject*> value
        values[5], values[6], values[7] = <PyObject*> self.unit, <PyObject*> self.kind, <PyObject*> labels
        values[8], values[9] = <PyObject*> start, <PyObject*> distribution
        return taken(new_struct(&METRIC_POINT, values))

    cdef int by_reference(self, Place p, Place stop) except -1:
        if not is_whole(METRIC, p, stop, 4):
            raise Refused
        read_metric(MetricMessage.FromString((<const char*> p)[:stop - p]), self.resource, self.batch)
        return 0
