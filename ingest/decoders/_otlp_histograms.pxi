# Points of histograms to `Distribution`, as `histograms.explicit` and `exponential` say it. What these would
# refuse or make coarser is not plain: None is returned, and the reference path reads the whole metric.

cdef enum:
    BUCKETS_MOST = 160
    # as `MAX_BUCKETS`

cdef uint64_t LARGEST_COUNT = 1 << 50
"""Far more than any count, and adding up `BUCKETS_MOST` of them stays a number of 64 bits."""

cdef struct HistogramFields:
    uint64_t start
    uint64_t time
    uint64_t flags
    uint64_t count
    uint64_t zero
    uint64_t scale
    double total
    double minimum
    double maximum
    bint has_total
    bint odd
    Place counts
    Place counts_end
    Place bounds
    Place bounds_end
    Place positive
    Place positive_end
    Place negative
    Place negative_end


cdef void begin_histogram(HistogramFields* found) noexcept:
    """Nothing is known; an extreme that is not finite is none."""
    memset(found, 0, sizeof(HistogramFields))
    found.minimum = found.maximum = INFINITY


cdef inline Place read_double(Place p, Place end, double* out) noexcept:
    cdef uint64_t bits = 0
    p = read_fixed64(p, end, &bits)
    memcpy(out, &bits, 8)
    return p


cdef inline int64_t unzigzag(uint64_t number) noexcept:
    cdef uint32_t low = <uint32_t> number
    return <int32_t> (low >> 1 ^ -(low & 1))


cdef object finite(double value):
    return value if isfinite(value) else None


cdef PyObject* new_counts(const uint64_t* counts, Py_ssize_t size) except NULL:
    cdef PyObject* made = PyTuple_New(size)
    cdef Py_ssize_t n
    for n in range(size):
        PyTuple_SET_ITEM(made, n, PyLong_FromUnsignedLongLong(counts[n]))
    if size:
        PyObject_GC_UnTrack(made)
    return made


cdef object bounds_of(Place p, Place stop):
    """Return the bounds of explicit buckets, None where they do not rise or end at infinity."""
    cdef Py_ssize_t n, size = (stop - p) // 8
    cdef double value = 0, last = 0
    cdef list made = []
    for n in range(size):
        p = read_double(p, stop, &value)
        if not isfinite(value) or (n and value <= last):
            return None
        made.append(value)
        last = value
    return tuple(made)


cdef object explicit_of(HistogramFields* found, object bounds):
    """Return the distribution over these bounds, None where it is not plain."""
    cdef uint64_t counts[BUCKETS_MOST]
    cdef uint64_t total = 0
    cdef Py_ssize_t n, size = (found.counts_end - found.counts) // 8
    cdef Place p = found.counts
    if size > BUCKETS_MOST or found.count > LARGEST_COUNT or (found.has_total and not isfinite(found.total)):
        return None
    if size != len(<tuple> bounds) + 1 and (size or <tuple> bounds):
        return None
    for n in range(size):
        p = read_fixed64(p, found.counts_end, &counts[n])
        if counts[n] > LARGEST_COUNT:
            return None
        total += counts[n]
    return made_distribution((
        total if size else found.count,
        found.total if found.has_total else None,
        finite(found.minimum),
        finite(found.maximum),
        bounds,
        taken(new_counts(counts, size)) if <tuple> bounds else (),
        None,
        0,
        NO_BUCKETS,
        NO_BUCKETS,
    ))


cdef object exponential_of(HistogramFields* found):
    """Return the distribution over powers of a base, None where it is not plain."""
    cdef int64_t scale = unzigzag(found.scale)
    cdef uint64_t total = found.zero
    if not -20 <= scale <= 20 or found.zero > LARGEST_COUNT or (found.has_total and not isfinite(found.total)):
        return None
    positive = side_of(found.positive, found.positive_end, &total)
    negative = side_of(found.negative, found.negative_end, &total)
    if positive is None or negative is None:
        return None
    return made_distribution((
        total,
        found.total if found.has_total else None,
        finite(found.minimum),
        finite(found.maximum),
        (),
        (),
        scale,
        found.zero,
        positive,
        negative,
    ))


cdef object made_distribution(tuple fields):
    cdef PyObject* values[10]
    cdef int n
    for n in range(10):
        values[n] = PyTuple_GET_ITEM(<PyObject*> fields, n)
    return taken(new_struct(&DISTRIBUTION, values))


cdef object side_of(Place p, Place stop, uint64_t* total):
    """Return one side's buckets without the empty ones at its ends, None where it is not plain."""
    cdef uint64_t counts[BUCKETS_MOST]
    cdef uint64_t offset = 0, count = 0
    cdef Place packed = NULL, packed_end = NULL
    cdef Py_ssize_t size = 0, first = 0
    cdef uint32_t tag = 0
    while p < stop:
        p = read_tag(p, stop, &tag)
        if p != NULL and tag == 0x08:
            p = read_varint(p, stop, &offset)
        elif p != NULL and tag == 0x12 and packed == NULL:
            packed = read_block(p, stop, &packed_end)
            p = packed_end if packed != NULL else NULL
        elif p != NULL and (tag == 0x10 or tag == 0x12):
            return None
        elif p != NULL:
            p = pass_field(BUCKETS, p, stop, tag, 8)
        if p == NULL:
            raise Refused
    while packed < packed_end:
        packed = read_varint(packed, packed_end, &count)
        if packed == NULL:
            raise Refused
        if size == BUCKETS_MOST or count > LARGEST_COUNT:
            return None
        counts[size] = count
        total[0] += count
        size += 1
    while size and not counts[size - 1]:
        size -= 1
    while first < size and not counts[first]:
        first += 1
    if not size:
        return NO_BUCKETS
    return Buckets(offset=unzigzag(offset) + first, counts=taken(new_counts(&counts[first], size - first)))
