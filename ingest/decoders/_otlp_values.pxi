# Texts, attributes and ids. Within one request equal bytes are read once: names and repeated attributes are
# looked up by their raw bytes in two small tables, which point into the request and live as long as it is read.

cdef enum:
    TEXTS = 256
    PAIRS = 256
    MOST = 32
    # Attributes of an item on this path, as `MAX_LABELS`; items with more take the reference path.
    LABEL_BYTES = 256
    SHORT = 64
    # Characters that are within `LABEL_BYTES` whatever they are.

cdef enum Role:
    # What an attribute's name means to a decoder, in bits; 0 for most.
    SEQUENCE = 0x0F
    # 1 to 15: place among the names that order lines, the first wins.
    EXCEPTION_TYPE = 0x10
    EXCEPTION_MESSAGE = 0x20
    VERSION = 0x40
    KEPT = 0x80
    # Kept with a span.
    PEER = 0xF00
    # 1 to 15, in 0x100 steps: place among the names that tell a span's peer, plus one.
    NEEDS_VALUE = 0xF3F

cdef struct Text:
    Place raw
    uint32_t size
    uint32_t hash
    PyObject* text
    int role

cdef struct Pair:
    Place raw
    uint32_t size
    uint32_t hash
    Place name
    uint32_t name_size
    int role
    uint64_t prefix
    PyObject* pair
    PyObject* value
    int cuts


cdef inline uint64_t hash_of(Place p, uint32_t size) noexcept:
    """Mix 8 bytes at a time; who finds collisions only makes the table miss."""
    cdef uint64_t word, mixed = size * 0x9E3779B97F4A7C15ULL
    while size >= 8:
        memcpy(&word, p, 8)
        mixed = (mixed ^ word) * 0xD6E8FEB86659FD93ULL
        mixed ^= mixed >> 32
        p += 8
        size -= 8
    word = 0
    memcpy(&word, p, size)
    mixed = (mixed ^ word) * 0xD6E8FEB86659FD93ULL
    return mixed ^ mixed >> 32


cdef inline uint64_t prefix_of(Place p, uint32_t size) noexcept:
    """Return the first 8 bytes as a number that sorts as they do."""
    cdef uint64_t prefix = 0
    cdef uint32_t n
    if size >= 8:
        return (
            <uint64_t> p[7] | <uint64_t> p[6] << 8 | <uint64_t> p[5] << 16 | <uint64_t> p[4] << 24
            | <uint64_t> p[3] << 32 | <uint64_t> p[2] << 40 | <uint64_t> p[1] << 48 | <uint64_t> p[0] << 56
        )
    for n in range(size):
        prefix |= <uint64_t> p[n] << (56 - 8 * n)
    return prefix


cdef inline int order_of(const Pair* a, const Pair* b) noexcept:
    """Compare names; UTF-8 sorts by bytes as Python's strings do by characters."""
    cdef uint32_t size
    cdef int by_bytes
    if a.prefix != b.prefix:
        return -1 if a.prefix < b.prefix else 1
    size = min(a.name_size, b.name_size)
    by_bytes = memcmp(a.name, b.name, size)
    if by_bytes:
        return by_bytes
    return <int> (a.name_size > b.name_size) - <int> (a.name_size < b.name_size)


cdef PyObject* new_hex(Place p, Place stop) except NULL:
    """Return an id in hex, None where it is absent, all zero or too long."""
    cdef Py_ssize_t n, size = stop - p
    cdef uint8_t any_bit = 0
    cdef PyObject* text
    cdef uint8_t* out
    if size <= 16:
        for n in range(size):
            any_bit |= p[n]
    if not any_bit:
        return new_reference(None)
    text = PyUnicode_New(2 * size, 127)
    out = <uint8_t*> PyUnicode_DATA(text)
    for n in range(size):
        memcpy(&out[2 * n], HEX[p[n]], 2)
    return text


cdef inline PyObject* new_text(Place p, Place stop) except NULL:
    cdef PyObject* text
    if not is_ascii(p, stop):
        return PyUnicode_DecodeUTF8(<const char*> p, stop - p, "strict")
    text = PyUnicode_New(stop - p, 127)
    if p < stop:
        memcpy(PyUnicode_DATA(text), p, stop - p)
    return text


cdef PyObject* new_value(Place p, Place stop) except NULL:
    """Return an AnyValue as text, as `value_text` does; `Refused` where the library has to decide."""
    cdef uint32_t tag = 0
    cdef uint64_t number = 0
    cdef double real
    cdef Place start = p, inner, end = NULL
    if p == stop:
        return new_text(p, p)
    p = read_tag(p, stop, &tag)
    if p != NULL and tag == 0x0A:
        inner = read_block(p, stop, &end)
        if inner != NULL and end == stop:
            return new_text(inner, end)
    elif p != NULL and (tag == 0x10 or tag == 0x18):
        if read_varint(p, stop, &number) == stop:
            if tag == 0x10:
                return new_reference(TRUE if number else FALSE)
            return new_reference(str(<int64_t> number))
    elif p != NULL and tag == 0x21:
        if read_fixed64(p, stop, &number) == stop:
            memcpy(&real, &number, 8)
            return new_reference(repr(real))
    if not is_whole(ANY_VALUE, start, stop, 8):
        raise Refused
    return new_reference(value_text(AnyValue.FromString((<const char*> start)[:stop - start])))


cdef inline PyObject* new_reference(object made) except NULL:
    keep(<PyObject*> made)
    return <PyObject*> made


cdef PyObject* new_label(PyObject* text, int* cuts) except NULL:
    """Return a label's value within `LABEL_BYTES`, counting a cut."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    cdef const char* raw
    if size > SHORT:
        raw = PyUnicode_AsUTF8AndSize(text, &size)
        if raw == NULL:
            raise Refused
        if size > LABEL_BYTES:
            cuts[0] += 1
            return PyUnicode_DecodeUTF8(raw, LABEL_BYTES, "ignore")
    keep(text)
    return text


cdef PyObject* new_pair(PyObject* name, PyObject* value) except NULL:
    """Return (name, value); what holds only texts is in no cycle, so the collector need not visit it."""
    cdef PyObject* pair = PyTuple_New(2)
    keep(name)
    keep(value)
    PyTuple_SET_ITEM(pair, 0, name)
    PyTuple_SET_ITEM(pair, 1, value)
    PyObject_GC_UnTrack(pair)
    return pair


cdef tuple label_pair(str name, str value):
    """Return the pair of a label that comes from elsewhere, and how often it was cut."""
    cdef int cuts = 0
    cdef object label = taken(new_label(<PyObject*> value, &cuts))
    return (name, label), cuts
