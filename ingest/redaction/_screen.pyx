# cython: language_level=3, boundscheck=False, wraparound=False
"""A cheap look at a text before the rules: whether any rule could find anything in it at all.

Promises one thing: a text that is `harmless` comes out of redaction as it is. One that is not may be so too.
Each rule needs a sign that this looks for, in any case of letters; see `tokens`, `pairs` and `personal`.
"""

from libc.string cimport memcmp

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    LONGEST = 4096
    CARD = 13


def harmless(str text not None):
    """Return True where no rule of redaction can match; texts that are long or not ASCII never are."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
    if length > LONGEST or not PyUnicode_IS_ASCII(text):
        return False
    return _harmless(PyUnicode_1BYTE_DATA(text), length)


cdef bint _harmless(const unsigned char *text, Py_ssize_t length):
    cdef unsigned char low[LONGEST]
    cdef Py_ssize_t at, left
    cdef unsigned char sign
    cdef int figures = 0
    cdef int named = 0
    """1 in a word that names a secret, 2 behind it."""
    for at in range(length):
        sign = text[at]
        low[at] = sign + 32 if 65 <= sign <= 90 else sign
    for at in range(length):
        sign = low[at]
        left = length - at
        if 48 <= sign <= 57:
            figures += 1
            if figures >= CARD:
                return False
            if named == 2:
                named = 0
            continue
        # One gap between figures may be inside a card's number.
        if not ((sign == 32 or sign == 45) and at and 48 <= low[at - 1] <= 57):
            figures = 0
        if sign == 64:  # @
            return False
        if sign == 58 or sign == 61:  # : =
            if named or (left >= 3 and low[at + 1] == 47 and low[at + 2] == 47):
                return False
        elif sign == 45:  # -
            if left >= 2 and low[at + 1] == 45:
                return False
            if named == 2:
                named = 0
        elif 97 <= sign <= 122:
            if _gives_away(low + at, left):
                return False
            if _names(low + at, left):
                named = 1
            elif named == 2:
                named = 0
        elif named:
            if sign == 32 or sign == 34 or sign == 39 or sign == 92 or 9 <= sign <= 13 or 28 <= sign <= 31:
                named = 2
            elif sign != 95 and sign != 46:
                named = 0
    return True


cdef inline bint _is(const unsigned char *text, Py_ssize_t left, const char *word, Py_ssize_t length):
    return left >= length and memcmp(text, word, length) == 0


cdef inline bint _names(const unsigned char *text, Py_ssize_t left):
    """Say whether here begins a word that names a secret, where a sign follows that gives it a value."""
    cdef unsigned char first = text[0]
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


cdef inline bint _gives_away(const unsigned char *text, Py_ssize_t left):
    """Say whether here begins what a secret's own form begins with, or what stands before one."""
    cdef unsigned char first = text[0]
    if first == 97:
        return (
            _is(text, left, b"akia", 4)
            or _is(text, left, b"asia", 4)
            or _is(text, left, b"aiza", 4)
            or _is(text, left, b"authorization", 13)
        )
    if first == 98:
        return _is(text, left, b"bearer", 6) or _is(text, left, b"basic", 5)
    if first == 99:
        return _is(text, left, b"cookie", 6)
    if first == 101:
        return _is(text, left, b"eyj", 3)
    if first == 103:
        return (
            (left >= 4 and text[1] == 104 and text[3] == 95)
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
