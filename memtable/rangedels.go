package memtable

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// rangeDelCache is the Set of the first count tombstones.
type rangeDelCache struct {
	set   *rangedel.Set
	count int64
}

// tombstoneBytes is what a tombstone takes besides its keys.
const tombstoneBytes = 56

// addRangeDel adds the range delete op.
func (m *Memtable) addRangeDel(b *body, seq base.SeqNum, op base.Op) error {
	// One byte more than a key, so that an end can lie behind all keys.
	if len(op.Payload) > KeyBytesMax+1 {
		return base.ErrKeyTooLarge
	}
	pos, size, err := b.arena.add(op.Key, op.Payload)
	if err != nil {
		return err
	}
	keyLen := uint32(len(op.Key))
	t := rangedel.Tombstone{Start: b.arena.key(pos, keyLen), End: b.arena.payload(pos, keyLen), Seq: seq}
	m.mu.Lock()
	m.tombs = append(m.tombs, t)
	m.mu.Unlock()
	m.bytes.Add(int64(size) + tombstoneBytes)
	m.tombCount.Add(1)
	return nil
}

// RangeDels returns the range deletes applied so far, nil if there are none.
// The Set is built when first asked for and kept until another range delete
// comes. Its keys are valid until Release.
func (m *Memtable) RangeDels() *rangedel.Set {
	n := m.tombCount.Load()
	if n == 0 {
		return nil
	}
	if c := m.rangeDels.Load(); c != nil && c.count >= n {
		return c.set
	}
	m.rangeDelsMu.Lock() // one builds, the others wait for it
	defer m.rangeDelsMu.Unlock()
	if c := m.rangeDels.Load(); c != nil && c.count >= n {
		return c.set
	}
	m.mu.RLock()
	tombs := m.tombs
	m.mu.RUnlock()
	c := &rangeDelCache{set: rangedel.Build(tombs), count: int64(len(tombs))}
	m.rangeDels.Store(c)
	return c.set
}
