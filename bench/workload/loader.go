package workload

// Loader hands out every record once, in ascending order of keys, for an engine's
// bulk load into an empty store. One goroutine uses it.
type Loader struct {
	m          *Model
	writes     []write
	key, value []byte
	out        Outcome
}

// NewLoader returns a Loader of all Data.Keys records. The Model is that of an
// empty store.
func (m *Model) NewLoader() *Loader {
	return &Loader{m: m, writes: make([]write, 0, m.data.Keys)}
}

// Next is what engine.BulkLoader asks for: the slices are valid until the next
// call.
func (l *Loader) Next() (key, value []byte, ok bool) {
	i := uint64(len(l.writes))
	if i == uint64(l.m.data.Keys) {
		return nil, nil, false
	}
	w, ok := l.m.claim(i, put)
	if !ok {
		return nil, nil, false // not an empty store's Model
	}
	l.writes = append(l.writes, w)
	l.key = l.m.keys.append(l.key[:0], presentNumber(i))
	l.value = l.m.gen.append(l.value[:0], i, w.version)
	n := len(l.key) + len(l.value)
	l.out.Items++
	l.out.Bytes += n
	l.out.Written += n
	return l.key, l.value, true
}

// Done says that the engine has stored everything that Next returned, and tells
// what that was.
func (l *Loader) Done() Outcome {
	for _, w := range l.writes {
		l.m.acknowledge(w)
	}
	l.m.advance()
	return l.out
}
