# One object that was taken apart: its event, made here or by the reference.

cdef class Items:
    """The record that is being read, and what was learned from those before it."""

    cdef Topic topic
    cdef Memo memo
    cdef Form odd
    cdef uint64_t serial
    cdef object record, now, origin, batch
    cdef list events
    cdef int64_t latest
    cdef Scanned found
    cdef Key key

    def __init__(self):
        self.memo = Memo()
        self.odd = Form(b"", (), 0, None)

    cdef object refer(self, object item):
        """Add what the reference makes of an object; return the event, None where it cut or refused it."""
        cdef object probe = Batch(self.record, self.now, self.topic.defaults)
        cdef object event = None
        try:
            event = read_object(item, probe)
        except DecodeError as error:
            self.whole().rejects.append(error.reject)
        else:
            self.events.append(event)
        if not probe.cuts:
            return event
        cuts = self.whole().cuts
        for reason in probe.cuts:
            cuts[reason] += probe.cuts[reason]
        return None

    cdef object whole(self):
        """Return the batch that refusals and cuts go to: most records have none."""
        if self.batch is None:
            self.batch = Batch(self.record, self.now, self.topic.defaults)
        return self.batch

    cdef bint take(self, Form form, Place p, Place stop) except -1:
        """Add the event of an object that was taken apart; False where the reference must read it."""
        cdef int64_t time
        cdef object event
        if form.kind == ODD:
            return False
        if form.time == NONE:
            time = self.record.received
        else:
            zone = None if form.kind == SPAN else self.topic.defaults.time_zone
            time = time_of(&self.found.tokens[form.time], zone)
        if time < OLDEST_TIME or time > self.latest:
            return False
        if not make_key(&self.key, form.serial, &self.found, form.deciding, form.decided):
            return False
        if form.kind == LOG:
            event = self.log(form, time, p, stop)
            if event is None:
                return False
            self.events.append(event)
            return True
        if self.memo.find(&self.key) == NULL:
            return self.learn(form, p, stop)
        known = <object> self.memo.find(&self.key)
        event = self.sample(form, time, known) if form.kind == SAMPLE else self.span(form, time, known)
        if event is None:
            return False
        self.events.append(event)
        return True

    cdef bint learn(self, Form form, Place p, Place stop) except -1:
        """Have the reference read an object, and keep what others of the same make will share with it."""
        cdef Key key = self.key
        try:
            item = loads((<const char*> p)[:stop - p])
        except BadJson:
            return False
        event = self.refer(item)
        if type(event) is (MetricPoint if form.kind == SAMPLE else SpanEvent):
            if form.kind == SPAN or (event.start == 0 and event.distribution is None):
                self.memo.keep(&key, event)
        return True

    cdef object sample(self, Form form, object time, object known):
        """Return a sample of a series that is known, None where the reference must read it."""
        cdef const Token* token = &self.found.tokens[form.value]
        cdef PyObject* values[10]
        cdef double number
        cdef object value
        if token.kind != INTEGER and token.kind != NUMBER:
            return None
        number = number_of(token)
        if not isfinite(number):
            return None
        value = number
        values[0], values[1], values[2] = <PyObject*> self.origin, <PyObject*> time, <PyObject*> value
        share(&METRIC_POINT, known, values, 3)
        return taken(new_struct(&METRIC_POINT, values))

    cdef object span(self, Form form, object start, object known):
        """Return a span whose like is known, None where the reference must read it."""
        cdef object trace = read_id(&self.found.tokens[form.trace])
        cdef object span = read_id(&self.found.tokens[form.span])
        cdef object parent = None, end
        cdef int64_t last = time_of(&self.found.tokens[form.end], None)
        cdef PyObject* values[12]
        if form.parent != NONE:
            parent = read_id(&self.found.tokens[form.parent])
        if trace is None or span is None or trace is ODD_ID or span is ODD_ID or parent is ODD_ID:
            return None
        if last < <int64_t> start or last > self.latest:
            return None
        end = last
        values[0], values[1], values[2] = <PyObject*> self.origin, <PyObject*> trace, <PyObject*> span
        values[3], values[4], values[5] = <PyObject*> parent, <PyObject*> start, <PyObject*> end
        share(&SPAN_EVENT, known, values, 6)
        return taken(new_struct(&SPAN_EVENT, values))

    cdef object log(self, Form form, object time, Place p, Place stop):
        """Return a log line, None where the reference must read it."""
        cdef object trace = None, span = None, sequence, attributes = NO_LABELS
        cdef const Token* token = &self.found.tokens[form.body]
        cdef PyObject* values[9]
        cdef object first, body
        if (token.kind != STRING and token.kind != RICH) or token.size == 0 or token.size > SHORT_FIELD:
            return None
        owner = self.owner(form, p, stop)
        if owner is None:
            return None
        resource, number, rest = <tuple> owner
        if form.trace != NONE:
            trace = read_id(&self.found.tokens[form.trace])
        if form.span != NONE:
            span = read_id(&self.found.tokens[form.span])
        if trace is ODD_ID or span is ODD_ID:
            return None
        first = body = read_token(token)
        if token.kind == RICH:
            if not first:
                return None
            body = first.rstrip("\r\n")
        if number == 0:
            number = from_line(first)
        sequence = trace
        if rest:
            found = self.attributes(form, <bytes> rest)
            if found is None:
                return None
            if form.telling or form.ordering:
                kept = dict(found)
                body = self.text(with_error(body, kept))
                if trace is None:
                    sequence = sequence_key(kept, resource.instance)
                found = list(kept.items())
            attributes = self.labels(<list> found)
        values[0], values[1], values[2] = <PyObject*> self.origin, <PyObject*> resource, <PyObject*> time
        values[3], values[4], values[5] = <PyObject*> body, <PyObject*> number, <PyObject*> trace
        values[6], values[7], values[8] = <PyObject*> span, <PyObject*> sequence, <PyObject*> attributes
        return taken(new_struct(&LOG_EVENT, values))

    cdef object owner(self, Form form, Place p, Place stop):
        """Return (resource, severity, places of what no field takes) as the reference finds them, or None."""
        cdef Key key
        cdef object plan = form.plan
        if self.memo.find(&self.key) != NULL:
            return <object> self.memo.find(&self.key)
        key = self.key
        try:
            fields = Fields(top=loads((<const char*> p)[:stop - p]), extras={})
        except BadJson:
            return None
        probe = Batch(self.record, self.now, self.topic.defaults)
        number = level_and_stated(fields, plan.number, plan.level)[0]
        resource = fields.take_resource(probe, plan)
        if probe.cuts:
            return None
        taken = {form.time, form.body, form.trace, form.span}
        left = [n for n, name in enumerate(form.names) if n not in taken and name not in fields.used]
        found = (resource, number, bytes(sorted(left, key=form.names.__getitem__)))
        self.memo.keep(&key, found)
        return found

    cdef list attributes(self, Form form, bytes rest):
        """Return what no field takes, in order of name; None where a value is no JSON after all."""
        cdef list found = []
        cdef const Token* token
        cdef const uint8_t* places = rest
        cdef Py_ssize_t n
        for n in range(len(rest)):
            token = &self.found.tokens[places[n]]
            if token.kind == NOTHING:
                continue
            value = attribute_text(token)
            if value is None:
                return None
            found.append((form.names[places[n]], value))
        return found

    cdef object labels(self, list pairs):
        """Return the pairs as labels, cut where they are too long or too many; they are in order of name."""
        cdef bint fits = len(pairs) <= UNCUT_LABELS
        for _, value in pairs:
            # Beyond ASCII a character has up to four bytes.
            if PyUnicode_GET_LENGTH(value) > (UNCUT_LABEL if PyUnicode_IS_ASCII(value) else SHORT_LABEL):
                fits = False
        return tuple(pairs) if fits else self.cut(Batch.labels, pairs)

    cdef object text(self, object body):
        return body if PyUnicode_GET_LENGTH(body) <= SHORT_FIELD else self.cut(Batch.text, body)

    cdef object cut(self, object limit, object given):
        """Return what a batch's limit leaves, and count what it cuts."""
        return limit(self.whole(), given)
