# cython: language_level=3, boundscheck=False, wraparound=False
"""A cheap look at a text before the rules: whether any rule could find anything in it at all.

Promises one thing: a text that is `harmless` comes out of redaction as it is. One that is not may be so too.
Each rule needs a sign that this looks for, in any case of letters; see `tokens`, `pairs` and `personal`.
"""

from ingest.events import LogEvent

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    CARD = 13

# What every rule's sign begins with, as bits that three signs in a row have in common: a bit for each beginning.
cdef unsigned int FIRST[256]
cdef unsigned int SECOND[256]
cdef unsigned int THIRD[256]
cdef unsigned char FIGURES[256]
cdef unsigned int GOES_ON[256]
"""Nothing but figures and their gaps lets a number go on."""
cdef int code, place
for code in range(256):
    FIGURES[code] = 48 <= code <= 57
    GOES_ON[code] = 0xFFFF if chr(code) in "0123456789 -" else 0
for place, signs in enumerate((
    "@??", "--?", "://", "pas", "pwd", "sec", "tok", "cre", "key", "x-a", "xox", "aki", "asi", "aiz", "aut", "bea",
    "bas", "coo", "eyj", "gh?", "git", "glp", "hoo", "ide", "k_l", "k_t", "sk-", "ya2",
)):
    for code in range(256):
        FIRST[code] |= (chr(code).lower() == signs[0]) << place
        SECOND[code] |= (signs[1] == "?" or chr(code).lower() == signs[1]) << place
        THIRD[code] |= (signs[2] == "?" or chr(code).lower() == signs[2]) << place


def harmless(str text not None):
    """Return True where no rule of redaction can match; texts beyond ASCII never are."""
    return PyUnicode_IS_ASCII(text) and _harmless(PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text))


def harmless_line(object event):
    """Return True for what most lines are: harmless, nothing beside the text, ordered by a trace if at all."""
    cdef object text
    if type(event) is not LogEvent or event.attributes or event.sequence_key is not event.trace_id:
        return False
    text = event.body
    return PyUnicode_IS_ASCII(text) and _harmless(PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text))


cdef bint _harmless(const unsigned char *text, Py_ssize_t length) noexcept:
    """Let through at once what has no sign of anything; most texts have none."""
    cdef Py_ssize_t at
    cdef unsigned int signs = 0
    cdef unsigned int figures = 0, most = 0
    for at in range(length):
        # As every Python string in ASCII, this one ends with a zero.
        signs |= FIRST[text[at]] & SECOND[text[at + 1]] & THIRD[text[at + 2] if at + 2 <= length else 0]
        figures = (figures & GOES_ON[text[at]]) + FIGURES[text[at]]
        most = max(most, figures)
    return (signs == 0 and most < CARD) or _looked_at(text, length)


cdef bint _looked_at(const unsigned char *text, Py_ssize_t length) noexcept:
    cdef Py_ssize_t at, left
    cdef unsigned char sign
    cdef int figures = 0
    cdef int named = 0
    """1 in a word that names a secret, 2 behind it."""
    for at in range(length):
        sign = low(text[at])
        left = length - at
        if 48 <= sign <= 57:
            figures += 1
            if figures >= CARD:
                return False
            if named == 2:
                named = 0
            continue
        # One gap between figures may be inside a card's number.
        if not ((sign == 32 or sign == 45) and at and 48 <= text[at - 1] <= 57):
            figures = 0
        if sign == 64:  # @
            return False
        if sign == 58 or sign == 61:  # : =
            if named or (left >= 3 and text[at + 1] == 47 and text[at + 2] == 47):
                return False
        elif sign == 45:  # -
            if left >= 2 and text[at + 1] == 45:
                return False
            if named == 2:
                named = 0
        elif 97 <= sign <= 122:
            if _gives_away(text + at, left):
                return False
            if _names(text + at, left):
                named = 1
            elif named == 2:
                named = 0
        elif named:
            if sign == 32 or sign == 34 or sign == 39 or sign == 92 or 9 <= sign <= 13 or 28 <= sign <= 31:
                named = 2
            elif sign != 95 and sign != 46:
                named = 0
    return True


cdef inline unsigned char low(unsigned char sign) noexcept:
    return sign + 32 if 65 <= sign <= 90 else sign


cdef inline bint _is(const unsigned char *text, Py_ssize_t left, const char *word, Py_ssize_t length) noexcept:
    cdef Py_ssize_t at
    if left < length:
        return False
    for at in range(length):
        if low(text[at]) != <unsigned char> word[at]:
            return False
    return True


cdef inline bint _names(const unsigned char *text, Py_ssize_t left) noexcept:
    """Say whether here begins a word that names a secret, where a sign follows that gives it a value."""
    cdef unsigned char first = low(text[0])
    if first == 112:
        return _is(text, left, b"pass", 4) or _is(text, left, b"pwd", 3)
    if first == 115:
        return _is(text, left, b"secret", 6)
    if first == 116:
        return _is(text, left, b"token", 5)
    if first == 99:
        return _is(text, left, b"credential", 10)
    if first == 107:
        return _is(text, left, b"key", 3)
    return first == 120 and _is(text, left, b"x-amz-sig", 9)


cdef inline bint _gives_away(const unsigned char *text, Py_ssize_t left) noexcept:
    """Say whether here begins what a secret's own form begins with, or what stands before one."""
    cdef unsigned char first = low(text[0])
    if first == 97:
        return (
            _is(text, left, b"akia", 4)
            or _is(text, left, b"asia", 4)
            or _is(text, left, b"aiza", 4)
            or _is(text, left, b"authorization", 13)
        )
    if first == 98:
        return (_is(text, left, b"bearer", 6) and left > 6 and (text[6] == 32 or text[6] == 9 or text[6] == 58)) or (
            _is(text, left, b"basic", 5) and left > 5 and (text[5] == 32 or text[5] == 9)
        )
    if first == 99:
        return _is(text, left, b"cookie", 6)
    if first == 101:
        return _is(text, left, b"eyj", 3)
    if first == 103:
        return (
            (left >= 4 and low(text[1]) == 104 and text[3] == 95)
            or _is(text, left, b"github_pat_", 11)
            or _is(text, left, b"glpat-", 6)
        )
    if first == 104:
        return _is(text, left, b"hooks.slack.com", 15)
    if first == 105:
        return _is(text, left, b"identified by", 13)
    if first == 107:
        return _is(text, left, b"k_live_", 7) or _is(text, left, b"k_test_", 7)
    if first == 115:
        return _is(text, left, b"sk-", 3)
    if first == 120:
        return _is(text, left, b"xox", 3)
    return first == 121 and _is(text, left, b"ya29.", 5)
