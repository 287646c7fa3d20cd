# Values of tokens: made only here, and only those that an event holds.

cdef object ODD_ID = object()


cdef share(const Maker* how, object like, PyObject** values, int first):
    """Have fields from `first` on be those of another event, which stays alive meanwhile."""
    cdef int n
    cdef PyObject* made = <PyObject*> like
    for n in range(first, how.size):
        values[n] = (<PyObject**> (<char*> made + how.offsets[n]))[0]


cdef inline str plain_text(Place start, Py_ssize_t size):
    cdef str made = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(made), start, size)
    return made


cdef object read_token(const Token* token):
    """Return what a token is in Python, None for null and where it is no JSON after all."""
    if token.kind == STRING:
        return plain_text(token.start, token.size)
    try:
        return loads((<const char*> token.start)[:token.size])
    except BadJson:
        return None


cdef str attribute_text(const Token* token):
    """Return a value as the text of an attribute, None where it is no JSON after all."""
    cdef object value
    if token.kind == STRING or token.kind == INTEGER or token.kind == TRUE or token.kind == FALSE:
        return plain_text(token.start, token.size)
    value = read_token(token)
    return value if value is None or type(value) is str else to_text(value)


cdef object read_id(const Token* token):
    """Return a trace or span id, None where it says none, `ODD_ID` where the reference must read it."""
    cdef Place p = token.start
    cdef Py_ssize_t at
    cdef bint some = False
    if token.kind == NOTHING:
        return None
    if token.kind != STRING or token.size == 0:
        return ODD_ID
    for at in range(token.size):
        if 97 <= p[at] <= 122 or 49 <= p[at] <= 57:
            some = True
        elif p[at] != 48 and p[at] != 45:
            some = False
            break
    if not some or token.size > LONGEST_ID:
        return known_id(plain_text(p, token.size))
    return plain_text(p, token.size)


cdef double number_of(const Token* token) except? -1.0:
    """Return a number's value, infinity where no double holds it."""
    if token.kind == INTEGER:
        return <double> integer_of(token)
    number = read_token(token)
    return INFINITY if number is None else <double> number


cdef int64_t time_of(const Token* token, object zone) except -1:
    """Return the time that a token tells, 0 where the reference must read it."""
    cdef int64_t time
    if token.kind == STRING:
        time = utc_nanos(token.start, token.size)
        if time:
            return time
    elif token.kind != INTEGER and token.kind != NUMBER:
        return 0
    told = parse_time(read_token(token), zone)
    return told if told is not None and 0 < told < 9_000_000_000_000_000_000 else 0

