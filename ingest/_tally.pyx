# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled way through a window's log lines; `ingest.tallying` holds the reference that says what it gives."""

from libc.string cimport memset

from types import MemberDescriptorType

from ingest.summary import SequenceCount

cdef extern from "Python.h":
    ctypedef struct PyObject
    void drop "Py_DECREF"(PyObject*)
    void keep "Py_INCREF"(PyObject*)
    PyObject* PyObject_Vectorcall(PyObject*, PyObject* const*, size_t, PyObject*) except NULL
    bint PyUnicode_IS_ASCII(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

include "decoders/_structs.pxi"

cdef tuple SEQUENCE_FIELDS = ("key", "counts")
cdef Maker SEQUENCE = maker(SequenceCount, SEQUENCE_FIELDS)


def beginning(list events not None, tuple beginnings not None):
    """Return the events whose body begins with one of `beginnings`, which are ASCII and not empty."""
    cdef bint first[128]
    cdef list found = []
    cdef str body, text
    for sign in range(128):
        first[sign] = False
    for text in beginnings:
        first[ord(text[0])] = True
    for event in events:
        body = event.body
        if PyUnicode_IS_ASCII(body):
            if PyUnicode_GET_LENGTH(body) == 0 or not first[PyUnicode_1BYTE_DATA(body)[0]]:
                continue
        if body.startswith(beginnings):
            found.append(event)
    return found


def grouped(list names not None, list events not None, Py_ssize_t most):
    """Return by name: how many events, their highest severity, the first `most` of them, and the last."""
    cdef dict groups = {}
    cdef Py_ssize_t at
    cdef _Group group
    cdef long severity
    cdef str name
    if len(names) != len(events):
        raise ValueError("every event has one name")
    for at in range(len(names)):
        name, event = names[at], events[at]
        severity = event.severity_number
        found = groups.get(name)
        if found is None:
            group = _Group.__new__(_Group)
            group.first = []
            group.highest = severity
            groups[name] = group
        else:
            group = found
        group.count += 1
        group.last = event
        if severity > group.highest:
            group.highest = severity
        if group.count <= most:
            group.first.append(event)
    return {name: ((<_Group>found).count, (<_Group>found).highest, (<_Group>found).first, (<_Group>found).last)
            for name, found in groups.items()}


cdef class _Group:
    cdef long count
    cdef long highest
    cdef list first
    cdef object last


def gathered(list events not None, meet):
    """Append each event to the list that `meet` gives for its resource; it is asked once for each."""
    cdef dict known = {}
    cdef list held
    for event in events:
        resource = event.resource
        found = known.get(resource)
        if found is None:
            found = known[resource] = meet(resource)
        held = found
        held.append(event)


def followed(list names not None, list events not None):
    """Return a name of each sequence key, the counts of keys with several events, and the pairs' counts."""
    cdef dict heads = {}, found = {}, pairs = {}, before = {}
    cdef Py_ssize_t at, known = 0
    if len(names) != len(events):
        raise ValueError("every event has one name")
    for at in range(len(names)):
        key = events[at].sequence_key
        if key is None:
            continue
        heads.setdefault(key, names[at])
        if len(heads) == known:
            found[key] = {}
        else:
            known += 1
    if found:
        # Most keys have one line in a window, and only the others' lines are looked at again.
        for at in range(len(names)):
            key = events[at].sequence_key
            if key is not None and key in found:
                _follow(names[at], events[at], key, found, pairs, before)
    return heads, found, pairs


cdef void _follow(object name, object event, object key, dict found, dict pairs, dict before) except *:
    cdef dict counts = found[key]
    counts[name] = counts.get(name, 0) + 1
    place = (event.resource.instance, key)
    last = before.get(place)
    before[place] = name
    if last is not None:
        pair = (last, name)
        pairs[pair] = pairs.get(pair, 0) + 1


def sequences(list keys not None, dict heads not None, dict found not None):
    """Return what was written under each of `keys`: as `found` has it, else one line named by `heads`."""
    cdef dict alone = {}
    cdef list made = []
    cdef PyObject* values[2]
    cdef object counts
    for key in keys:
        held = found.get(key) if found else None
        if held is not None:
            counts = tuple(sorted((<dict>held).items()))
        else:
            name = heads[key]
            counts = alone.get(name)
            if counts is None:
                counts = alone[name] = ((name, 1),)
        values[0], values[1] = <PyObject*> key, <PyObject*> counts
        made.append(taken(new_struct(&SEQUENCE, values)))
    return made


def named(list events not None, dict known not None, shape, overflow, assign):
    """Return each body's template id: that of its shape where `known` has one, else what `assign` gives."""
    cdef list found = []
    for event in events:
        body = event.body
        text = known.get(shape(body))
        template = None if text is None else text.template
        if template is None or template is overflow:
            found.append(assign(body).template_id)
        else:
            found.append(template.assigned.template_id)
    return found
