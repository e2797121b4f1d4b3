package db

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vlog"
)

// A MultiGet looks its keys up in their order, which finds neighbours in the
// same blocks, and puts off the values that are in the value log, to read many
// at a time: at most multiGetReads of them, or those that fill multiGetBytes.
const (
	multiGetReads = 1024
	multiGetBytes = 16 << 20
)

// multiGet is a MultiGet on its way.
type multiGet struct {
	r      *reader
	keys   [][]byte
	values [][]byte

	// Values that are put off, with the index of each one's key.
	reqs  []vlog.ReadRequest
	at    []int
	bytes int
}

// multiGet is MultiGet.
func (r *reader) multiGet(keys [][]byte) ([][]byte, error) {
	m := &multiGet{r: r, keys: keys, values: make([][]byte, len(keys))}
	order := sortedOrder(keys)
	for i, k := range order {
		if i > 0 && bytes.Equal(keys[k], keys[order[i-1]]) {
			continue
		}
		if err := m.get(k); err != nil {
			return nil, err
		}
	}
	if err := m.readValues(); err != nil {
		return nil, err
	}
	for i := 1; i < len(order); i++ {
		if k, before := order[i], order[i-1]; bytes.Equal(keys[k], keys[before]) {
			m.values[k] = bytes.Clone(m.values[before])
		}
	}
	return m.values, nil
}

// get finds the value of keys[k], or where it is.
func (m *multiGet) get(k int) error {
	r, key := m.r, m.keys[k]
	r.db.metrics.gets.Add(1)
	var l lookup
	found, err := r.find(key, &l)
	if err != nil || !found {
		return err
	}
	defer l.release()
	if l.trailer.Kind().Op() == base.KindSetPointer {
		return m.putOff(k, &l)
	}
	value, err := r.appendValue(nil, key, &l)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	m.values[k] = value
	return err
}

// putOff notes that the value of keys[k] has to be read from the value log.
func (m *multiGet) putOff(k int, l *lookup) error {
	r, key, kind := m.r, m.keys[k], l.trailer.Kind()
	expiry, enc, err := base.SplitPayload(kind, l.payload)
	var ptr base.Pointer
	if err == nil {
		ptr, err = base.DecodePointer(enc)
	}
	if err != nil {
		return payloadError(key, l.trailer, err)
	}
	if kind.HasExpiry() && expiry <= r.db.now(r.s.version) {
		return nil
	}
	meta := r.s.version.Vlog(ptr.File)
	if meta == nil {
		return danglingPointer(ptr)
	}
	m.reqs = append(m.reqs, vlog.ReadRequest{Loc: location(meta), Keyspace: r.ks.num, Key: key, Seq: l.trailer.SeqNum(), Ptr: ptr})
	m.at = append(m.at, k)
	m.bytes += int(ptr.ValueLen)
	if len(m.reqs) < multiGetReads && m.bytes < multiGetBytes {
		return nil
	}
	return m.readValues()
}

// readValues reads what was put off. Lengths in pointers are checked before
// there is memory for them, so it is the value log that makes it.
func (m *multiGet) readValues() error {
	if err := m.r.db.values.ReadMany(m.reqs); err != nil {
		return err
	}
	for i, k := range m.at {
		m.values[k] = m.reqs[i].Dst
		if m.values[k] == nil {
			m.values[k] = []byte{}
		}
	}
	clear(m.reqs)
	m.reqs, m.at, m.bytes = m.reqs[:0], m.at[:0], 0
	return nil
}

// sortedOrder is the order in which keys ascend, as indexes.
func sortedOrder(keys [][]byte) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(keys[a], keys[b]) })
	return order
}
