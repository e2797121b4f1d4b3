package trace

import (
	"encoding/binary"
	"time"
)

// encoder appends records to buf: as they stand in a file, or, without a ring,
// as the recorder holds them until they get there: every key in full.
type encoder struct {
	buf  []byte
	tick time.Duration

	ring   *keyRing
	hashed bool
	secret secret
	stored []byte // scratch
	last   []byte // the key that was written out last
	keys   int    // bytes of keys, for the writer

	// Of the record before.
	client, keyspace uint32
	end              uint64 // ticks
}

func (e *encoder) uvarint(n uint64) { e.buf = binary.AppendUvarint(e.buf, n) }

// key appends a key.
func (e *encoder) key(key []byte) {
	key = key[:min(len(key), keyBytesMax)] // the store has refused a longer one
	if e.ring == nil {
		e.uvarint(uint64(len(key)))
		e.buf = append(e.buf, key...)
		return
	}
	e.keys += len(key)
	stored := key
	if e.hashed {
		e.stored = e.secret.hash(e.stored[:0], key)
		stored = e.stored
	}
	if slot, ok := e.ring.find(stored, len(key)); ok {
		e.uvarint(slot<<1 | 1)
		return
	}
	e.uvarint(uint64(len(key)) << 1)
	if !e.hashed {
		shared := sharedPrefix(e.last, key)
		e.uvarint(uint64(shared))
		e.last = append(e.last[:0], key...)
		stored = key[shared:]
	}
	e.buf = append(e.buf, stored...)
	if !e.hashed {
		stored = key
	}
	e.ring.add(stored, len(key))
}

func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// head appends what records and items begin with.
func (e *encoder) head(op *Op, item bool) {
	head, extra := byte(op.Kind), byte(0)
	if !item && op.Client != e.client {
		extra |= extraClient
	}
	if op.Keyspace != e.keyspace {
		extra |= extraKeyspace
	}
	if op.Snapshot {
		extra |= extraSnapshot
	}
	if extra != 0 {
		head |= headExtra
	}
	if op.Error != ErrorNone {
		head |= headError
	}
	if op.Found {
		head |= headFound
	}
	e.buf = append(e.buf, head)
	if extra != 0 {
		e.buf = append(e.buf, extra)
	}
	if extra&extraClient != 0 {
		e.uvarint(uint64(op.Client))
		e.client = op.Client
	}
	if extra&extraKeyspace != 0 {
		e.uvarint(uint64(op.Keyspace))
		e.keyspace = op.Keyspace
	}
	if op.Error != ErrorNone {
		e.buf = append(e.buf, byte(op.Error))
	}
}

// begin appends a record up to what its kind defines.
func (e *encoder) begin(op *Op) {
	e.head(op, false)
	end := max(uint64(max(op.End(), 0)/e.tick), e.end)
	e.uvarint(end - e.end)
	e.uvarint(min(uint64((max(op.Took, 0)+e.tick/2)/e.tick), end))
	e.end = end
}

// length appends the length of a value. The store has refused longer ones.
func (e *encoder) length(n int) { e.uvarint(uint64(min(max(n, 0), valueBytesMax))) }

// body appends what the kind of a record or item defines. That of one with
// items ends before them.
func (e *encoder) body(op *Op) {
	switch op.Kind {
	case KindGet, KindGetForUpdate, KindGetAndDelete:
		e.key(op.Key)
		if op.Found {
			e.length(op.Length)
		}
	case KindHas, KindDelete:
		e.key(op.Key)
	case KindPut, KindMerge, KindPutIfAbsent, KindAdd:
		e.key(op.Key)
		e.length(op.Length)
	case KindPutTTL, KindPutIfAbsentTTL:
		e.key(op.Key)
		e.length(op.Length)
		e.uvarint(millis(op.TTL))
	case KindCompareAndSwap:
		e.key(op.Key)
		if op.Removes {
			e.uvarint(0)
		} else {
			e.uvarint(uint64(min(op.Length, valueBytesMax)) + 1)
		}
	case KindDeleteRange:
		e.bounds(&op.Range)
	case KindScan:
		e.bounds(&op.Range)
		e.uvarint(op.Entries)
		e.uvarint(op.Bytes)
	case KindWalk:
		e.walk(op)
	case KindMultiGet, KindBatch, KindTransaction:
		e.group(op)
	case KindKeyspace:
		e.uvarint(uint64(len(op.Name)))
		e.buf = append(e.buf, op.Name...)
	case KindLost:
		e.uvarint(op.Entries)
	}
}

// millis are whole milliseconds, rounded up.
func millis(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return (uint64(d) + uint64(time.Millisecond) - 1) / uint64(time.Millisecond)
}

func (e *encoder) bounds(b *Bounds) {
	var flags byte
	if b.Lower != nil {
		flags |= boundLower
	}
	if b.Upper != nil {
		flags |= boundUpper
	}
	if b.Backward {
		flags |= boundBackward
	}
	if b.KeysOnly {
		flags |= boundKeysOnly
	}
	e.buf = append(e.buf, flags)
	if b.Lower != nil {
		e.key(b.Lower)
	}
	if b.Upper != nil {
		e.key(b.Upper)
	}
}

func (e *encoder) walk(op *Op) {
	e.bounds(&op.Range)
	e.buf = append(e.buf, byte(op.Walk.Position))
	if op.Walk.Position >= PositionSeekGE {
		e.key(op.Key)
	}
	e.uvarint(op.Walk.Forward)
	e.uvarint(op.Walk.Backward)
	e.uvarint(op.Entries)
	e.uvarint(op.Bytes)
}

// group appends what comes before the items; their number is the caller's to
// append, with the items.
func (e *encoder) group(op *Op) {
	if op.Kind != KindMultiGet {
		flags := byte(op.Tx.Outcome)
		if op.Tx.ReadOnly {
			flags |= txReadOnly
		}
		if op.Tx.SnapshotIsolation {
			flags |= txSnapshot
		}
		if op.Sync {
			flags |= txSync
		}
		e.buf = append(e.buf, flags)
	}
	if op.Kind == KindTransaction {
		e.uvarint(op.Tx.Try)
	}
	e.uvarint(op.Cut)
}

// item appends one item.
func (e *encoder) item(op *Op) {
	e.head(op, true)
	e.body(op)
}

// record appends a record with its items.
func (e *encoder) record(op *Op) {
	e.begin(op)
	e.body(op)
	if !op.Kind.hasItems() {
		return
	}
	e.uvarint(uint64(len(op.Items)))
	outer := e.keyspace
	for i := range op.Items {
		e.item(&op.Items[i])
	}
	e.keyspace = outer
}
