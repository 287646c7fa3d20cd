# What the field names of an object say, found out once for each list of names.

cdef enum:
    FORMS = 512
    ODD = 0
    LOG = 1
    SAMPLE = 2
    SPAN = 3
    NONE = 255
    # No such field.

cdef frozenset WHOSE = frozenset([name for names in EVERY for name in names])
cdef frozenset METRIC_READ = frozenset([*METRIC, *METRIC_KIND, "unit", "change", "title", *WHOSE, *TIME])
cdef frozenset SPAN_READ = frozenset(
    [*KEPT, *WHOSE, *SPAN_KIND, *SPAN_STATUS, *SPAN_NAME, "peer", "peer.service", "error"]
)
cdef frozenset ORDERING = frozenset([*SESSION, *THREAD])
cdef int NUMBERS = 1 << INTEGER | 1 << NUMBER
cdef int PLAIN = NUMBERS | 1 << STRING | 1 << TRUE | 1 << FALSE | 1 << NOTHING


cdef class Form:
    """How objects with these names are read; ODD ones are for the reference."""

    cdef bytes text
    cdef tuple names
    cdef object plan
    cdef uint64_t serial
    cdef int kind
    cdef bint plain
    """Whether `auto` takes such objects for flat JSON."""
    cdef uint8_t time, end, body, trace, span, parent, value
    cdef Deciding deciding[MOST_NAMES]
    cdef int decided
    cdef bint telling, ordering
    """Whether attributes may go into a log's text or its sequence key."""

    def __init__(self, bytes text, tuple names, uint64_t serial, object time_field):
        cdef dict item = dict.fromkeys(names)
        cdef object plan = plan_of(item)
        self.text, self.names, self.plan, self.serial = text, names, plan, serial
        self.kind = ODD
        self.plain = form_is_flat(item)
        times = ((time_field,) if time_field in item else ()) + plan.time
        self.time = self.place(times)
        if not names or len(item) != len(names) or max(map(len, names)) > MAX_LABEL:
            return
        if plan.only_log and plan.body and len(plan.span_id) <= 1 and len(plan.trace_id) <= 1:
            self.log(plan)
        elif is_span(item) and "change" not in item and "title" not in item:
            self.read_span(item)
        elif "value" in item and "start_time" not in item:
            self.sample(item)

    cdef uint8_t place(self, tuple among):
        return <uint8_t> self.names.index(among[0]) if among else NONE

    cdef decide(self, among, read, int idle):
        """Have the values under names of `among` decide; kinds of `idle` only under those that are `read`."""
        self.decided = 0
        for place, name in enumerate(self.names):
            if name in among:
                self.deciding[self.decided].place = place
                self.deciding[self.decided].idle = 0 if name in read else idle
                self.decided += 1

    cdef log(self, plan):
        self.kind = LOG
        self.body = self.place(plan.body)
        self.trace, self.span = self.place(plan.trace_id), self.place(plan.span_id)
        whose = [name for names in plan.whose for name in names]
        self.decide(frozenset([*plan.level, *plan.number, *whose]), WHOSE, 0)
        self.telling = not TOLD.isdisjoint(self.names)
        self.ordering = not ORDERING.isdisjoint(self.names)

    cdef sample(self, dict item):
        self.kind = SAMPLE
        self.value = self.place(("value",))
        timed = self.names[self.time] if self.time != NONE else "value"
        # Numbers beside the value are neither labels nor anything else.
        self.decide(frozenset(item) - {"value", timed}, METRIC_READ, NUMBERS)

    cdef read_span(self, dict item):
        cdef list found = [
            tuple([name for name in among if name in item])
            for among in (TRACE_ID, SPAN_ID, PARENT_ID, START, END)
        ]
        if any(len(names) != 1 for names in (*found[:2], *found[3:])) or len(found[2]) > 1:
            return
        if not DURATION.isdisjoint(item):
            return
        self.kind = SPAN
        self.trace, self.span, self.parent, self.time, self.end = [self.place(names) for names in found]
        # What nobody reads decides nothing, but only `orjson` knows whether it is JSON where it is not plain.
        self.decide(frozenset(item) - {name for names in found for name in names}, SPAN_READ, PLAIN)


cdef bint form_is_flat(dict item):
    return form_of(item) is FLAT


cdef class Topic:
    """The forms of objects that are read under the same defaults."""

    cdef object defaults
    cdef list forms

    def __init__(self, object defaults):
        self.defaults = defaults
        self.forms = [None] * FORMS

    cdef Form form(self, const Scanned* found, Items items):
        """Return the form of an object."""
        cdef Form known = <Form> self.forms[found.names & (FORMS - 1)]
        if known is None or not is_same(known.text, found):
            known = self.learn(found, items)
        return known

    cdef Form learn(self, const Scanned* found, Items items):
        cdef list names = []
        cdef const Token* token
        cdef int n
        for n in range(found.count):
            token = &found.tokens[n]
            names.append((<const char*> token.name)[:token.name_size])
        text = b"\0".join(names) + b"\0"
        if len(text) > LONGEST_NAMES:
            return items.odd
        items.serial += 1
        known = Form(text, tuple([name.decode() for name in names]), items.serial, self.defaults.time_field)
        self.forms[found.names & (FORMS - 1)] = known
        return known


cdef bint is_same(bytes text, const Scanned* found) noexcept:
    cdef const char* p = text
    cdef const char* end = p + len(text)
    cdef const Token* token
    cdef int n
    for n in range(found.count):
        token = &found.tokens[n]
        if end - p <= token.name_size or p[token.name_size] != 0 or memcmp(p, token.name, token.name_size) != 0:
            return False
        p += token.name_size + 1
    return p == end
