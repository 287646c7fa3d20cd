# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled way to a line's shape; `ingest.shapes` holds the reference that says what it must give."""

from libc.string cimport memchr, memcpy

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeASCII

from ingest.masking import subject
from ingest.shapes import ID_SWITCHES, LONG_HEX, LONG_LINE, LONG_NAME, LONG_NUMBER, SOURCES, reference_shape

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    OTHER = 0
    FIGURE = 1
    HEX_LETTER = 2
    LETTER = 3
    STACK = 4096

cdef unsigned char KIND[256]
cdef unsigned char IN_PATH[256]
"""Signs that a part of a path is made of."""
cdef int _at
for _at in range(256):
    KIND[_at] = OTHER
    IN_PATH[_at] = chr(_at) in "_.+@%~$*:#-" or (_at < 128 and chr(_at).isalnum())
for _at in range(48, 58):
    KIND[_at] = FIGURE
for _at in range(65, 91):
    KIND[_at] = HEX_LETTER if _at < 71 else LETTER
    KIND[_at + 32] = KIND[_at]

cdef Py_ssize_t _LONG_NUMBER = LONG_NUMBER, _LONG_HEX = LONG_HEX, _LONG_LINE = LONG_LINE, _LONG_NAME = LONG_NAME
cdef int _ID_SWITCHES = ID_SWITCHES
cdef frozenset _SOURCES = frozenset(name.encode() for name in SOURCES)
cdef Py_ssize_t _LONG_SOURCE = max(len(name) for name in SOURCES)


def body_shape(str body not None):
    """Return the shape of a body's subject; one of several lines, or not ASCII, goes to the reference."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(body), start = 0, written
    cdef const unsigned char *text
    cdef unsigned char out[STACK * 2]
    if length > STACK or not PyUnicode_IS_ASCII(body):
        return shape(subject(body))
    text = PyUnicode_1BYTE_DATA(body)
    while start < length and _is_blank(text[start]):
        start += 1
    while length > start and _is_blank(text[length - 1]):
        length -= 1
    if memchr(text + start, 10, length - start) != NULL:
        return shape(subject(body))
    written = _fold(text + start, length - start, out)
    if written < 0:
        return body if length - start == PyUnicode_GET_LENGTH(body) else body[start:length]
    return PyUnicode_DecodeASCII(<char *>out, written, NULL)


cdef inline bint _is_blank(unsigned char sign):
    return sign == 32 or 9 <= sign <= 13 or 28 <= sign <= 31


def shape(str text not None):
    """Return `text` with `0` for numbers, `<id>`, `<path>` and `<name>`."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
    cdef unsigned char small[STACK * 4]
    cdef unsigned char *out = small
    cdef Py_ssize_t written
    if not PyUnicode_IS_ASCII(text):
        return reference_shape(text)
    # "<id>" stands for three signs at least, "<path>" for four, "<name>" for three: a line at most doubles.
    if length > STACK * 2:
        out = <unsigned char *>PyMem_Malloc(length * 2)
        if out == NULL:
            raise MemoryError
    try:
        written = _fold(PyUnicode_1BYTE_DATA(text), length, out)
        if written < 0:
            return text
        return PyUnicode_DecodeASCII(<char *>out, written, NULL)
    finally:
        if out != small:
            PyMem_Free(out)


cdef Py_ssize_t _fold(const unsigned char *text, Py_ssize_t length, unsigned char *out):
    """Write the shape and return its length, -1 where it is the text itself."""
    cdef Py_ssize_t at = 0, start, written = 0
    cdef unsigned char kind, previous
    cdef int switches
    cdef bint figures, hexadecimal, letters, changed = False
    while at < length:
        if KIND[text[at]] == OTHER:
            if text[at] == 47:
                start = _path_end(text, at, length)
                if start:
                    memcpy(out + written, b"<path>", 6)
                    written += 6
                    at = start
                    changed = True
                    continue
            elif text[at] == 91:
                start = _name_end(text, at + 1, length)
                if start:
                    memcpy(out + written, b"[<name>", 7)
                    written += 7
                    at = start
                    changed = True
                    continue
            out[written] = text[at]
            written += 1
            at += 1
            continue
        start = at
        figures = letters = False
        hexadecimal = True
        switches = 0
        previous = OTHER
        while at < length:
            kind = KIND[text[at]]
            if kind == OTHER:
                break
            if kind == FIGURE:
                figures = True
                if previous >= HEX_LETTER:
                    switches += 1
            else:
                letters = True
                if kind == LETTER:
                    hexadecimal = False
                if previous == FIGURE:
                    switches += 1
            previous = kind
            at += 1
        if hexadecimal and at - start == 8 and at < length and text[at] == 45 and _is_uuid(text + start, length - start):
            at = start + 36
            written = _id(out, written)
            changed = True
        elif not figures:
            while start < at:
                out[written] = text[start]
                written += 1
                start += 1
        elif not letters:
            if at - start <= _LONG_LINE and start and _is_source(text, start, at, length):
                while start < at:
                    out[written] = text[start]
                    written += 1
                    start += 1
            elif at - start >= _LONG_NUMBER:
                written = _id(out, written)
                changed = True
            else:
                out[written] = 48
                written += 1
                changed = True
        elif (
            (hexadecimal and at - start >= _LONG_HEX)
            or switches >= _ID_SWITCHES
            or _is_hex_number(text, start, at)
        ):
            written = _id(out, written)
            changed = True
        else:
            previous = OTHER
            while start < at:
                kind = KIND[text[start]]
                if kind != FIGURE:
                    out[written] = text[start]
                    written += 1
                elif previous != FIGURE:
                    out[written] = 48
                    written += 1
                previous = kind
                start += 1
            changed = True
    return written if changed else -1


cdef inline Py_ssize_t _id(unsigned char *out, Py_ssize_t written):
    out[written] = 60
    out[written + 1] = 105
    out[written + 2] = 100
    out[written + 3] = 62
    return written + 4


cdef Py_ssize_t _path_end(const unsigned char *text, Py_ssize_t start, Py_ssize_t length):
    """Return where a path of two parts at least ends that begins here, 0 where none does."""
    cdef Py_ssize_t at = start
    cdef int parts = 0
    cdef unsigned char before
    if start:
        before = text[start - 1]
        if KIND[before] != OTHER or before == 95 or before == 46 or before == 62 or before == 58 or before == 126 or before == 47:
            return 0
    while at + 1 < length and text[at] == 47 and IN_PATH[text[at + 1]]:
        at += 1
        while at < length and IN_PATH[text[at]]:
            at += 1
        parts += 1
    if parts < 2:
        return 0
    return at + 1 if at < length and text[at] == 47 else at


cdef Py_ssize_t _name_end(const unsigned char *text, Py_ssize_t start, Py_ssize_t length):
    """Return where a name with a number ends that fills a pair of brackets from here, 0 where none does."""
    cdef Py_ssize_t at = start, dash = 0
    if start >= length or KIND[text[start]] < HEX_LETTER:
        return 0
    while at < length and (KIND[text[at]] != OTHER or text[at] == 95 or text[at] == 46 or text[at] == 45):
        if text[at] == 45:
            dash = at
        at += 1
    if at >= length or text[at] != 93 or not dash or dash + 1 == at or dash - start - 1 > _LONG_NAME:
        return 0
    for start in range(dash + 1, at):
        if KIND[text[start]] != FIGURE:
            return 0
    return at


cdef bint _is_hex_number(const unsigned char *text, Py_ssize_t start, Py_ssize_t end):
    cdef Py_ssize_t at
    if end - start < 3 or text[start] != 48 or (text[start + 1] | 32) != 120:
        return False
    for at in range(start + 2, end):
        if KIND[text[at]] != FIGURE and KIND[text[at]] != HEX_LETTER:
            return False
    return True


cdef bint _is_uuid(const unsigned char *text, Py_ssize_t length):
    """Say whether the text begins with 8-4-4-4-12 hexadecimal digits that end there."""
    cdef Py_ssize_t at
    if length < 36 or (length > 36 and KIND[text[36]] != OTHER):
        return False
    for at in range(36):
        if at == 8 or at == 13 or at == 18 or at == 23:
            if text[at] != 45:
                return False
        elif KIND[text[at]] != FIGURE and KIND[text[at]] != HEX_LETTER:
            return False
    return True


cdef bint _is_source(const unsigned char *text, Py_ssize_t start, Py_ssize_t end, Py_ssize_t length):
    """Say whether the number is that of a line in a source file, or of a member of a class."""
    cdef Py_ssize_t at
    cdef unsigned char before
    if end < length and (text[end] == 46 or text[end] == 95):
        return False
    if text[start - 1] == 35:
        if start < 2:
            return False
        before = text[start - 2]
        return KIND[before] >= HEX_LETTER or before == 95 or before == 36
    if text[start - 1] != 58:
        return False
    at = start - 2
    while at >= 0 and start - 2 - at < _LONG_SOURCE and KIND[text[at]] >= HEX_LETTER:
        at -= 1
    if at < 0 or text[at] != 46:
        return False
    return text[at + 1 : start - 1] in _SOURCES
