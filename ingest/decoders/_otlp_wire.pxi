# Protobuf's wire format over borrowed bytes. Every read checks its end first, nothing is copied.
#
# A function that walks returns where it stopped, or NULL: "not mine, let the protobuf library decide". That is
# said of everything malformed and of what is legal but rare, so only the library ever refuses a request.

ctypedef const uint8_t* Place

cdef enum Kind:
    UNKNOWN = 0
    VARINT = 1
    FIXED64 = 2
    FIXED32 = 3
    STRING = 4
    BYTES = 5
    PACKED64 = 6
    PACKED_VARINT = 7
    MESSAGE = 16
    # and up: MESSAGE + the number of the message that is inside.

cdef enum:
    MAX_NUMBER = 20
    MAX_MESSAGES = 40
    MAX_DEPTH = 24
    # Messages inside messages; deeper ones are legal up to 100 and left to the library.

cdef uint8_t FIELDS[MAX_MESSAGES][MAX_NUMBER]


cdef inline Place read_varint(Place p, Place end, uint64_t* out) noexcept:
    cdef uint64_t value = 0
    cdef int shift = 0
    if p < end and p[0] < 0x80:
        out[0] = p[0]
        return p + 1
    while p < end and shift < 63:
        value |= <uint64_t> (p[0] & 0x7F) << shift
        if p[0] < 0x80:
            out[0] = value
            return p + 1
        p += 1
        shift += 7
    if p < end and p[0] <= 1:
        out[0] = value | <uint64_t> p[0] << 63
        return p + 1
    return NULL


cdef inline Place read_tag(Place p, Place end, uint32_t* out) noexcept:
    """Read field number and wire type; the caller has seen that p < end."""
    cdef uint64_t value
    cdef Place start = p
    if p[0] < 0x80:
        out[0] = p[0]
        return p + 1
    p = read_varint(p, end, &value)
    if p == NULL or p - start > 5 or value > 0xFFFFFFFF:
        return NULL
    out[0] = <uint32_t> value
    return p


cdef inline Place read_block(Place p, Place end, Place* stop) noexcept:
    """Read a length that fits before `end`; return where its bytes begin and set where they stop."""
    cdef uint64_t size
    cdef Place start = p
    p = read_varint(p, end, &size)
    if p == NULL or p - start > 5 or size > <uint64_t> (end - p):
        return NULL
    stop[0] = p + size
    return p


cdef inline Place read_fixed64(Place p, Place end, uint64_t* out) noexcept:
    if end - p < 8:
        return NULL
    out[0] = (
        <uint64_t> p[0] | <uint64_t> p[1] << 8 | <uint64_t> p[2] << 16 | <uint64_t> p[3] << 24
        | <uint64_t> p[4] << 32 | <uint64_t> p[5] << 40 | <uint64_t> p[6] << 48 | <uint64_t> p[7] << 56
    )
    return p + 8


cdef inline bint is_ascii(Place p, Place stop) noexcept:
    cdef uint64_t word
    cdef uint64_t words[4]
    cdef uint8_t tail = 0
    while stop - p >= 32:
        memcpy(words, p, 32)
        if (words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080ULL:
            return False
        p += 32
    while stop - p >= 8:
        memcpy(&word, p, 8)
        if word & 0x8080808080808080ULL:
            return False
        p += 8
    while p < stop:
        tail |= p[0]
        p += 1
    return tail < 0x80


cdef bint is_utf8(Place p, Place stop) noexcept:
    cdef PyObject* text
    if is_ascii(p, stop):
        return True
    text = try_decode(<const char*> p, stop - p, "strict")
    if text == NULL:
        PyErr_Clear()
        return False
    drop(text)
    return True


cdef Place skip_unknown(Place p, Place end, uint32_t tag) noexcept:
    """Pass over a field that our version of the schema does not know; groups are left to the library."""
    cdef uint64_t ignored
    cdef Place stop = NULL
    cdef uint32_t wire = tag & 7
    if wire == 0:
        return read_varint(p, end, &ignored)
    if wire == 1:
        return p + 8 if end - p >= 8 else NULL
    if wire == 5:
        return p + 4 if end - p >= 4 else NULL
    if wire == 2 and read_block(p, end, &stop) != NULL:
        return stop
    return NULL


cdef Place pass_field(int message, Place p, Place end, uint32_t tag, int depth) noexcept:
    """Pass over a field of `message` whose tag was just read, as strictly as the library would parse it."""
    cdef uint32_t number = tag >> 3, wire = tag & 7
    cdef uint8_t kind = FIELDS[message][number] if number < MAX_NUMBER else <uint8_t> UNKNOWN
    cdef Place stop = NULL
    if number == 0:
        return NULL
    if kind == UNKNOWN:
        return skip_unknown(p, end, tag)
    if wire != 2:
        return skip_unknown(p, end, tag) if wire == scalar_wire(kind) else NULL
    p = read_block(p, end, &stop)
    if p == NULL or kind == VARINT or kind == FIXED64 or kind == FIXED32:
        return NULL
    if kind == STRING:
        return stop if is_utf8(p, stop) else NULL
    if kind == BYTES:
        return stop
    if kind == PACKED64:
        return stop if (stop - p) % 8 == 0 else NULL
    if kind == PACKED_VARINT:
        return pass_varints(p, stop)
    return stop if is_whole(kind - MESSAGE, p, stop, depth + 1) else NULL


cdef uint32_t scalar_wire(uint8_t kind) noexcept:
    """Return the wire type of one value of a kind, 99 where it has none but a block."""
    if kind == VARINT or kind == PACKED_VARINT:
        return 0
    if kind == FIXED64 or kind == PACKED64:
        return 1
    return 5 if kind == FIXED32 else 99


cdef Place pass_varints(Place p, Place stop) noexcept:
    cdef uint64_t ignored
    while p != NULL and p < stop:
        p = read_varint(p, stop, &ignored)
    return p


cdef bint is_whole(int message, Place p, Place stop, int depth) noexcept:
    """Return whether these bytes are a `message`, none of its fields malformed."""
    cdef uint32_t tag = 0
    if depth > MAX_DEPTH:
        return False
    while p < stop:
        p = read_tag(p, stop, &tag)
        if p == NULL:
            return False
        p = pass_field(message, p, stop, tag, depth)
        if p == NULL:
            return False
    return True
