# What was made of given bytes is kept, in so many places of two: what comes later puts out the older of a place.

cdef enum:
    PLACES = 4096
    LONGEST_KEY = 1024


cdef class Memo:
    cdef list keys
    cdef list values

    def __init__(self):
        self.keys = [None] * PLACES
        self.values = [None] * PLACES

    cdef PyObject* find(self, Key* key) noexcept:
        """Return what was made of these bytes, NULL where that is not known."""
        if self.holds(key, key.place):
            return PyList_GET_ITEM(self.values, key.place)
        if self.holds(key, key.place ^ 1):
            return PyList_GET_ITEM(self.values, key.place ^ 1)
        return NULL

    cdef inline bint holds(self, Key* key, Py_ssize_t place) noexcept:
        cdef PyObject* known = PyList_GET_ITEM(self.keys, place)
        return (
            known != <PyObject*> None
            and PyBytes_GET_SIZE(known) == key.size
            and memcmp(PyBytes_AS_STRING(known), key.text, key.size) == 0
        )

    cdef keep(self, Key* key, object value):
        cdef Py_ssize_t place = key.place
        if self.keys[place] is not None:
            self.keys[place ^ 1], self.values[place ^ 1] = self.keys[place], self.values[place]
        self.keys[place], self.values[place] = (<char*> key.text)[:key.size], value


cdef struct Key:
    uint8_t text[LONGEST_KEY]
    Py_ssize_t size
    Py_ssize_t place


cdef struct Deciding:
    uint8_t place
    uint16_t idle
    # A bit for each kind of value that changes nothing.


cdef bint make_key(
    Key* key, uint64_t serial, const Scanned* found, const Deciding* deciding, int count
) noexcept:
    """Put down what decides in an object; False where that is too long to be remembered."""
    cdef const Token* token
    cdef uint8_t* p = key.text
    cdef uint8_t* end = key.text + LONGEST_KEY
    cdef int n
    memcpy(p, &serial, 8)
    p += 8
    for n in range(count):
        token = &found.tokens[deciding[n].place]
        if end - p < token.size + 2:
            return False
        # No string has a control character, so none can look like the next one's beginning.
        p[0] = 0
        if deciding[n].idle >> token.kind & 1:
            p[1] = 0
            p += 2
            continue
        p[1] = <uint8_t> token.kind
        memcpy(p + 2, token.start, token.size)
        p += 2 + token.size
    key.size = p - key.text
    key.place = <Py_ssize_t> (mixed(0, key.text, key.size) & (PLACES - 1))
    return True
