# One request being read: its tables, the attributes of the item at hand, and the walk down to the items.


cdef bint is_same(bytes raw, Place p, Place stop):
    cdef const char* known = raw
    return len(raw) == stop - p and not memcmp(known, p, stop - p)


cdef class Reading:
    """Reads one request into a batch; `Refused` where the reference path has to be taken instead."""

    cdef Text texts[TEXTS]
    cdef Pair pairs[PAIRS]
    cdef Pair item[MOST + 1]
    cdef uint8_t order[MOST + 1]
    cdef Pair version_pair
    cdef int count
    cdef bint odd
    cdef bint keeps_all
    cdef int message
    cdef uint64_t latest
    cdef dict roles
    cdef dict resources
    cdef object batch
    cdef object origin
    cdef list events
    cdef tuple owned
    cdef object resource
    cdef object version
    cdef object thread_prefix

    def __cinit__(self, *args):
        self.keeps_all = True

    def __init__(self, dict resources, batch):
        self.resources = resources
        self.batch = batch
        self.origin = batch.origin
        self.events = batch.events
        self.latest = max(0, batch.latest)

    def __dealloc__(self):
        cdef int n
        for n in range(TEXTS):
            xdrop(self.texts[n].text)
        for n in range(PAIRS):
            xdrop(self.pairs[n].pair)
            xdrop(self.pairs[n].value)
        self.forget_item()

    @cython.final
    cdef void forget_item(self) noexcept:
        cdef int n
        for n in range(self.count):
            xdrop(self.item[n].pair)
            xdrop(self.item[n].value)
        self.count = 0
        self.odd = False

    @cython.final
    cdef Text* text(self, Place p, Place stop) except NULL:
        """Return the text of these bytes, made once; its object is the table's."""
        cdef uint32_t size = <uint32_t> (stop - p)
        cdef uint32_t hashed = <uint32_t> hash_of(p, size)
        cdef Text* slot = &self.texts[hashed % TEXTS]
        cdef Text* other = &self.texts[(hashed % TEXTS) ^ 1]
        cdef PyObject* made
        cdef PyObject* role
        if slot.raw != NULL and slot.hash == hashed and slot.size == size and not memcmp(slot.raw, p, size):
            return slot
        if other.raw != NULL and other.hash == hashed and other.size == size and not memcmp(other.raw, p, size):
            return other
        made = new_text(p, stop)
        if slot.raw != NULL and (other.raw == NULL or hashed >> 31):
            slot = other
        xdrop(slot.text)
        slot.raw, slot.size, slot.hash, slot.text = p, size, hashed, made
        role = PyDict_GetItem(self.roles, <object> made)
        slot.role = 0 if role == NULL else <int> (<object> role)
        return slot

    @cython.final
    cdef Pair* pair(self, Place p, Place stop) except NULL:
        """Return what the bytes of a KeyValue say, read once; its objects are the table's."""
        cdef uint32_t size = <uint32_t> (stop - p)
        cdef uint32_t hashed = <uint32_t> hash_of(p, size)
        cdef uint32_t place = hashed % PAIRS
        cdef Pair* slot = &self.pairs[place]
        cdef Pair* other = &self.pairs[place ^ 1]
        cdef Pair made
        if slot.raw != NULL and slot.hash == hashed and slot.size == size and not memcmp(slot.raw, p, size):
            return slot
        if other.raw != NULL and other.hash == hashed and other.size == size and not memcmp(other.raw, p, size):
            return other
        self.read_pair(p, stop, &made)
        made.raw, made.size, made.hash = p, size, hashed
        if slot.raw != NULL and (other.raw == NULL or hashed >> 31):
            slot = other
        xdrop(slot.pair)
        xdrop(slot.value)
        slot[0] = made
        return slot

    @cython.final
    cdef int read_pair(self, Place p, Place stop, Pair* out) except -1:
        cdef Place name = p, name_end = p, value = NULL, value_end = NULL
        cdef uint32_t tag = 0
        cdef Text* named
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p == NULL:
                raise Refused
            if tag == 0x0A and name == name_end:
                name = read_block(p, stop, &name_end)
                p = name_end if name != NULL else NULL
            elif tag == 0x12 and value == NULL:
                value = read_block(p, stop, &value_end)
                p = value_end if value != NULL else NULL
            elif tag == 0x0A or tag == 0x12:
                raise Refused
            else:
                p = pass_field(KEY_VALUE, p, stop, tag, 6)
            if p == NULL:
                raise Refused
        named = self.text(name, name_end)
        out.role = named.role
        out.name, out.name_size = name, <uint32_t> (name_end - name)
        out.prefix = prefix_of(name, out.name_size)
        out.cuts = 0
        out.pair = out.value = NULL
        return self.fill_pair(out, named.text, value, value_end)

    @cython.final
    cdef int fill_pair(self, Pair* out, PyObject* name, Place value, Place value_end) except -1:
        cdef PyObject* text
        cdef PyObject* label
        if not self.keeps_all and not out.role:
            if not is_whole(ANY_VALUE, value, value_end, 7):
                raise Refused
            return 0
        text = new_value(value, value_end)
        label = new_label(text, &out.cuts)
        out.pair = new_pair(name, label)
        drop(label)
        if out.role & NEEDS_VALUE:
            out.value = text
        else:
            drop(text)
        return 0

    @cython.final
    cdef int attribute(self, Place p, Place stop, bint as_default) except -1:
        """Add an attribute to the item at hand; `as_default` leaves one of the same name as it is."""
        cdef Pair* found = self.pair(p, stop)
        if found.name_size > LABEL_BYTES:
            self.odd = True
        if found.pair != NULL:
            self.insert(found, as_default)
        return 0

    @cython.final
    cdef void insert(self, const Pair* found, bint as_default) noexcept:
        """Keep the attributes of an item sorted by name; what would need more rules makes the item odd."""
        cdef int n = self.count, compared
        if n == MOST + 1:
            self.odd = True
            return
        while n > 0:
            compared = order_of(&self.item[self.order[n - 1]], found)
            if compared == 0:
                self.odd = self.odd or not as_default
                return
            if compared < 0:
                break
            n -= 1
        memmove(&self.order[n + 1], &self.order[n], self.count - n)
        self.order[n] = <uint8_t> self.count
        self.item[self.count] = found[0]
        xkeep(found.pair)
        xkeep(found.value)
        self.count += 1

    @cython.final
    cdef PyObject* labels(self, uint32_t* cuts) except NULL:
        """Return the pairs of the item that are kept, in order; they are the tuple's from now on."""
        cdef int n, kept = 0
        cdef PyObject* made
        cdef Pair* found
        for n in range(self.count):
            kept += self.keeps_all or self.item[n].role & KEPT != 0
        made = PyTuple_New(kept)
        kept = 0
        for n in range(self.count):
            found = &self.item[self.order[n]]
            if self.keeps_all or found.role & KEPT:
                PyTuple_SET_ITEM(made, kept, found.pair)
                found.pair = NULL
                cuts[0] += found.cuts
                kept += 1
        if kept:
            PyObject_GC_UnTrack(made)
        return made

    @cython.final
    cdef object value_of(self, int role):
        """Return the whole value of the attribute that has this role, None where there is none."""
        cdef int n
        for n in range(self.count):
            if self.item[n].role & role == role and self.item[n].value != NULL:
                return <object> self.item[n].value
        return None

    cdef int one(self, Place p, Place stop) except -1:
        """Read one item; each signal has its own way."""
        raise NotImplementedError

    @cython.final
    cdef int request(self, Place p, Place stop) except -1:
        """Read every group of a request by its resource."""
        cdef uint32_t tag = 0
        cdef Place end = NULL
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x0A:
                p = read_block(p, stop, &end)
                if p != NULL:
                    self.group(p, end)
                    p = end
            elif p != NULL:
                p = pass_field(self.message, p, stop, tag, 1)
            if p == NULL:
                raise Refused
        return 0

    @cython.final
    cdef int group(self, Place p, Place stop) except -1:
        """Read a ResourceLogs, -Metrics or -Spans: first whose it is, which may stand last, then its scopes."""
        cdef uint32_t tag = 0
        cdef Place start = p, end = NULL, owner = NULL, owner_end = NULL
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x12:
                p = end if read_block(p, stop, &end) != NULL else NULL
            elif p != NULL and tag == 0x0A and owner == NULL:
                owner = read_block(p, stop, &owner_end)
                p = owner_end if owner != NULL else NULL
            elif p != NULL and tag != 0x0A:
                p = pass_field(RESOURCE_LOGS, p, stop, tag, 2)
            else:
                p = NULL
            if p == NULL:
                raise Refused
        if owner == NULL:
            owner = owner_end = start
        self.own(owner, owner_end)
        p = start
        while p < stop:
            p = read_tag(p, stop, &tag)
            if tag == 0x12 or tag == 0x0A:
                p = read_block(p, stop, &end)
                if tag == 0x12:
                    self.scope(p, end)
                p = end
            else:
                p = pass_field(RESOURCE_LOGS, p, stop, tag, 2)
        return 0

    @cython.final
    cdef int refuse(self, error) except -1:
        self.batch.rejects.append(error.reject)
        return 0

    @cython.final
    cdef bint believed(self, uint64_t time) noexcept:
        return OLDEST_TIME <= time <= self.latest

    @cython.final
    cdef int add_cuts(self, uint32_t labels) except -1:
        if labels:
            self.batch.cuts["label"] += labels
        return 0

    @cython.final
    cdef int own(self, Place p, Place stop) except -1:
        """Set whose telemetry follows, from the bytes of a Resource or from what was read from equal bytes."""
        cdef object key = hash_of(p, <uint32_t> (stop - p))
        cdef object version, pair
        cdef int cuts
        cdef tuple known = self.resources.get(key)
        if known is None or not is_same(known[0], p, stop):
            if not is_whole(RESOURCE, p, stop, 2):
                raise Refused
            known = self.owner(key, (<const char*> p)[:stop - p])
        self.owned = known
        _, self.resource, version, pair, cuts, self.thread_prefix = known
        self.version = version
        self.version_pair.pair = <PyObject*> pair
        self.version_pair.cuts = cuts
        self.version_pair.role = VERSION | KEPT
        self.version_pair.name = VERSION_NAME
        self.version_pair.name_size = <uint32_t> len(VERSION_TEXT)
        self.version_pair.prefix = prefix_of(VERSION_NAME, self.version_pair.name_size)
        return 0

    @cython.final
    cdef tuple owner(self, object key, bytes raw):
        before = dict(self.batch.cuts)
        attributes = attribute_map(ResourceMessage.FromString(raw).attributes)
        resource, version = owner_of(attributes, self.batch)
        pair, cuts = None, 0
        if version is not None:
            pair, cuts = label_pair(VERSION_TEXT, version)
        known = (raw, resource, version, pair, cuts, f"{resource.instance or ''}/")
        if len(raw) <= MAX_RESOURCE and before == dict(self.batch.cuts):
            if len(self.resources) >= MAX_RESOURCES:
                self.resources.clear()
            self.resources[key] = known
        return known

    @cython.final
    cdef int scope(self, Place p, Place stop) except -1:
        """Read the items of a ScopeLogs, -Metrics or -Spans."""
        cdef uint32_t tag = 0
        cdef Place end = NULL
        while p < stop:
            p = read_tag(p, stop, &tag)
            if p != NULL and tag == 0x12:
                p = read_block(p, stop, &end)
                if p != NULL:
                    self.one(p, end)
                    p = end
            elif p != NULL:
                p = pass_field(SCOPE_LOGS, p, stop, tag, 3)
            if p == NULL:
                raise Refused
        return 0

