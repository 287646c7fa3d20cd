# One flat JSON object a time, over borrowed bytes: where its keys and values lie, without making any of them.
#
# What is passed is JSON for sure, but for strings with escapes or beyond ASCII and for lists, of which only the
# end is found: `orjson` has to read these before anything is believed. NULL says "not mine", of what is
# malformed and of what is legal but rare (objects inside, keys with escapes), and leaves it to the reference.

cdef extern from *:
    """
    #include <stdint.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    /* The first quote, backslash, control character or byte beyond ASCII. */
    static inline const uint8_t* plain_end(const uint8_t* p, const uint8_t* end) {
    #ifdef __SSE2__
        const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\\\'), space = _mm_set1_epi8(' ');
        while (end - p >= 16) {
            __m128i some = _mm_loadu_si128((const __m128i*) p);
            /* As signed numbers, bytes beyond ASCII are below a space too. */
            int odd = _mm_movemask_epi8(_mm_or_si128(
                _mm_or_si128(_mm_cmpeq_epi8(some, quote), _mm_cmpeq_epi8(some, slash)),
                _mm_cmplt_epi8(some, space)));
            if (odd) return p + __builtin_ctz(odd);
            p += 16;
        }
    #endif
        while (p < end && *p != '"' && *p != '\\\\' && *p >= 0x20 && *p < 0x80) p++;
        return p;
    }
    """
    const uint8_t* plain_end(const uint8_t*, const uint8_t*) noexcept

ctypedef const uint8_t* Place

cdef enum:
    MOST_NAMES = 48
    LONGEST_NAMES = 2048
    DEEPEST = 16
    # Lists inside lists.

cdef enum Kind:
    STRING = 1
    RICH = 2
    # A string with escapes or beyond ASCII; its token has the quotes too.
    INTEGER = 3
    # Of at most 15 digits, and not -0.
    NUMBER = 4
    TRUE = 5
    FALSE = 6
    NOTHING = 7
    LIST = 8

cdef struct Token:
    Place name
    Py_ssize_t name_size
    Place start
    Py_ssize_t size
    int kind

cdef struct Scanned:
    Token tokens[MOST_NAMES]
    int count
    uint64_t names
    # A hash of the names in their order.


cdef inline Place skip_blanks(Place p, Place end) noexcept:
    while p < end and (p[0] == 32 or p[0] == 9 or p[0] == 13):
        p += 1
    return p


cdef inline Place skip_space(Place p, Place end) noexcept:
    """Pass blanks and ends of lines."""
    while p < end and (p[0] == 32 or 9 <= p[0] <= 10 or p[0] == 13):
        p += 1
    return p


cdef inline uint64_t mixed(uint64_t known, Place p, Py_ssize_t size) noexcept:
    """Return a hash of what was known and these bytes."""
    cdef uint64_t word
    known = (known ^ <uint64_t> size) * 0x9E3779B97F4A7C15ULL
    while size >= 8:
        memcpy(&word, p, 8)
        known = (known ^ word) * 0x9E3779B97F4A7C15ULL
        known ^= known >> 29
        p += 8
        size -= 8
    if size > 0:
        word = 0
        memcpy(&word, p, size)
        known = (known ^ word) * 0x9E3779B97F4A7C15ULL
    return known ^ known >> 32


cdef Place scan_object(Place p, Place end, Scanned* found) noexcept:
    """Take an object apart whose `{` is at `p`; return where it ends, or NULL."""
    cdef Token* token
    cdef Place stop
    cdef uint64_t names = 0
    found.count = 0
    p = skip_blanks(p + 1, end)
    while True:
        if p >= end or p[0] != 34 or found.count >= MOST_NAMES:
            return NULL
        token = &found.tokens[found.count]
        stop = plain_end(p + 1, end)
        if stop >= end or stop[0] != 34:
            return NULL
        token.name, token.name_size = p + 1, stop - p - 1
        names = mixed(names, token.name, token.name_size)
        p = skip_blanks(stop + 1, end)
        if p >= end or p[0] != 58:
            return NULL
        p = scan_value(skip_blanks(p + 1, end), end, token)
        if p == NULL:
            return NULL
        found.count += 1
        p = skip_blanks(p, end)
        if p >= end:
            return NULL
        if p[0] == 125:
            found.names = names
            return p + 1
        if p[0] != 44:
            return NULL
        p = skip_blanks(p + 1, end)


cdef inline Place scan_value(Place p, Place end, Token* token) noexcept:
    cdef Place stop
    if p >= end:
        return NULL
    if p[0] == 34:
        stop = plain_end(p + 1, end)
        if stop < end and stop[0] == 34:
            token.start, token.size, token.kind = p + 1, stop - p - 1, STRING
            return stop + 1
        stop = rich_end(stop, end)
        token.start, token.size, token.kind = p, stop - p, RICH
        return stop
    if p[0] == 45 or 48 <= p[0] <= 57:
        return scan_number(p, end, token)
    token.start = p
    if p[0] == 91:
        stop = list_end(p, end)
        token.size, token.kind = stop - p, LIST
        return stop
    if end - p >= 4 and memcmp(p, b"null", 4) == 0:
        token.size, token.kind = 4, NOTHING
    elif end - p >= 4 and memcmp(p, b"true", 4) == 0:
        token.size, token.kind = 4, TRUE
    elif end - p >= 5 and memcmp(p, b"false", 5) == 0:
        token.size, token.kind = 5, FALSE
    else:
        return NULL
    return p + token.size


cdef Place rich_end(Place p, Place end) noexcept:
    """Return where a string ends, its closing quote included, of which the bytes before `p` are passed."""
    while p < end and p[0] != 34:
        if p[0] < 32:
            return NULL
        p = plain_end(p + (2 if p[0] == 92 else 1), end) if end - p >= 2 else end
    return p + 1 if p < end else NULL


cdef Place scan_number(Place p, Place end, Token* token) noexcept:
    cdef Place start = p, digits, whole
    token.start, token.kind = start, NUMBER
    if p[0] == 45:
        p += 1
    digits = p
    p = pass_digits(p, end)
    whole = p
    if p == digits or (digits[0] == 48 and p - digits > 1):
        return NULL
    if p < end and p[0] == 46:
        digits = p + 1
        p = pass_digits(digits, end)
        if p == digits:
            return NULL
    if p < end and (p[0] == 101 or p[0] == 69):
        p += 1
        if p < end and (p[0] == 43 or p[0] == 45):
            p += 1
        digits = p
        p = pass_digits(p, end)
        if p == digits:
            return NULL
    token.size = p - start
    if p == whole and token.size <= 15 and not (start[0] == 45 and start[1] == 48):
        token.kind = INTEGER
    return p


cdef inline Place pass_digits(Place p, Place end) noexcept:
    while p < end and 48 <= p[0] <= 57:
        p += 1
    return p


cdef Place list_end(Place p, Place end) noexcept:
    """Return where a list without objects ends, as far as its brackets tell."""
    cdef int depth = 0
    while p < end:
        if p[0] == 91:
            depth += 1
            if depth > DEEPEST:
                return NULL
        elif p[0] == 93:
            depth -= 1
            if depth == 0:
                return p + 1
        elif p[0] == 34:
            p = rich_end(plain_end(p + 1, end), end)
            if p == NULL:
                return NULL
            continue
        elif p[0] == 123 or p[0] == 10:
            return NULL
        p += 1
    return NULL


cdef inline int64_t integer_of(const Token* token) noexcept:
    cdef Place p = token.start, end = token.start + token.size
    cdef int64_t value = 0
    cdef bint negative = p[0] == 45
    if negative:
        p += 1
    while p < end:
        value = value * 10 + (p[0] - 48)
        p += 1
    return -value if negative else value


cdef int64_t utc_nanos(Place p, Py_ssize_t size) noexcept:
    """Return the time that `YYYY-MM-DDThh:mm:ss[.fff]Z` spells, 0 for every other form and for odd times."""
    cdef int64_t year, month, day, hour, minute, second, days, fraction = 0, unit = 1_000_000_000
    cdef Py_ssize_t at
    if size < 20 or size > 30 or size == 21 or p[size - 1] != 90 or (size > 20 and p[19] != 46):
        return 0
    if p[4] != 45 or p[7] != 45 or p[10] != 84 or p[13] != 58 or p[16] != 58:
        return 0
    year = two_digits(p) * 100 + two_digits(p + 2)
    month, day, hour = two_digits(p + 5), two_digits(p + 8), two_digits(p + 11)
    minute, second = two_digits(p + 14), two_digits(p + 17)
    if two_digits(p) < 0 or two_digits(p + 2) < 0 or year < 1970 or not 1 <= month <= 12 or day < 1:
        return 0
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60) or day > days_in(year, month):
        return 0
    for at in range(20, size - 1):
        if p[at] < 48 or p[at] > 57:
            return 0
        unit //= 10
        fraction += (p[at] - 48) * unit
    # Days since 1970 in years that begin in March, so that a leap day is a year's last.
    if month <= 2:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719_469
    return (days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000_000 + fraction


cdef inline int64_t two_digits(Place p) noexcept:
    if not (48 <= p[0] <= 57 and 48 <= p[1] <= 57):
        return -1
    return (p[0] - 48) * 10 + p[1] - 48


cdef inline int64_t days_in(int64_t year, int64_t month) noexcept:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
