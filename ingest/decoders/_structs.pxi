# How events are made. msgspec's constructor takes keywords only and looks for each among all fields, which is a
# fifth of the time of decoding; a Struct's fields are plain members, so they are filled where they lie. That
# is done only for a type that is found to be just so; any other is made by its constructor.

cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member
    int T_OBJECT_EX

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        PyObject* (*tp_alloc)(PyTypeObject*, Py_ssize_t) except NULL
        unsigned long tp_flags
    unsigned long Py_TPFLAGS_HAVE_GC

cdef enum:
    MOST_FIELDS = 12

cdef struct Maker:
    PyObject* type
    PyObject* names
    Py_ssize_t offsets[MOST_FIELDS]
    int size
    bint direct


cdef Maker maker(object made, tuple names):
    """Return how to make a Struct from values in the order of `names`; type and names have to stay alive."""
    cdef Maker found
    cdef PyMemberDef* member
    cdef int n
    memset(&found, 0, sizeof(Maker))
    found.type, found.names, found.size = <PyObject*> made, <PyObject*> names, <int> len(names)
    found.direct = (
        set(names) == set(made.__struct_fields__)
        and not hasattr(made, "__post_init__")
        and not (<PyTypeObject*> found.type).tp_flags & Py_TPFLAGS_HAVE_GC
        and all(type(getattr(made, name)) is MemberDescriptorType for name in names)
    )
    if found.direct:
        for n in range(found.size):
            descriptor = getattr(made, names[n])
            member = (<PyMemberDescrObject*> <PyObject*> descriptor).d_member
            found.direct = found.direct and member.type == T_OBJECT_EX
            found.offsets[n] = member.offset
    return found


cdef PyObject* new_struct(const Maker* how, PyObject** values) except NULL:
    cdef PyObject* made
    cdef int n
    if not how.direct:
        return PyObject_Vectorcall(how.type, values, 0, how.names)
    made = (<PyTypeObject*> how.type).tp_alloc(<PyTypeObject*> how.type, 0)
    for n in range(how.size):
        keep(values[n])
        (<PyObject**> (<char*> made + how.offsets[n]))[0] = values[n]
    return made


cdef inline object taken(PyObject* made):
    """Return a new reference as an object; a mere cast would leave one too many, and nothing ever freed."""
    found = <object> made
    drop(made)
    return found
