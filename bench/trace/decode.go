package trace

import (
	"encoding/binary"
	"slices"
	"time"
)

// decoder reads records from buf: see encoder.
type decoder struct {
	buf  []byte
	tick time.Duration

	ring     *keyRing // nil: keys in full
	hashed   bool
	last     []byte
	keys     []byte // memory for the keys of the current record
	keyBytes int    // of the current record
	keysLeft int    // of the block, with a ring

	client, keyspace uint32
	end              uint64

	problem string // what is wrong with buf; nothing is read any more then
}

func (d *decoder) fail(problem string) {
	if d.problem == "" {
		d.problem = problem
	}
	d.buf = nil
}

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail("record cut off")
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

// uvarint reads a number of at most limit.
func (d *decoder) uvarint(limit uint64) uint64 {
	n, size := binary.Uvarint(d.buf)
	if size <= 0 || n > limit {
		d.fail("number out of range")
		return 0
	}
	d.buf = d.buf[size:]
	return n
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.buf) {
		d.fail("record cut off")
		return nil
	}
	b := d.buf[:n:n]
	d.buf = d.buf[n:]
	return b
}

// key reads a key, never nil. It is valid until the next record.
func (d *decoder) key() []byte {
	key := []byte{}
	switch {
	case d.ring == nil:
		key = d.bytes(int(d.uvarint(keyBytesMax)))
	default:
		n := d.uvarint(ringSlots<<1 | 1)
		if n&1 != 0 {
			stored, length, ok := d.ring.get(n >> 1)
			if !ok {
				d.fail("number of a key")
				break
			}
			key = d.own(stored, length)
		} else {
			key = d.newKey(int(n >> 1))
		}
	}
	if d.keyBytes += len(key); d.keyBytes > recordKeyBytesMax {
		d.fail("too many bytes of keys")
	}
	if d.problem != "" || key == nil {
		return []byte{}
	}
	return key
}

// newKey reads a key that was written out, and gives it its slot.
func (d *decoder) newKey(length int) []byte {
	if length > keyBytesMax {
		d.fail("length of a key")
		return nil
	}
	if d.hashed {
		stored := d.bytes(min(length, hashedBytes))
		if d.problem != "" {
			return nil
		}
		d.ring.add(stored, length)
		return d.own(stored, length)
	}
	shared := int(d.uvarint(uint64(min(length, len(d.last)))))
	rest := d.bytes(length - shared)
	if d.problem != "" {
		return nil
	}
	d.last = append(d.last[:shared], rest...)
	d.ring.add(d.last, length)
	return d.own(d.last, length)
}

// own is a key in memory that stays until the next record.
func (d *decoder) own(stored []byte, length int) []byte {
	if d.keysLeft -= length; d.keysLeft < 0 || d.keyBytes+length > recordKeyBytesMax {
		d.fail("too many bytes of keys")
		return nil
	}
	at := len(d.keys)
	if d.hashed {
		d.keys = expand(d.keys, stored, length)
	} else {
		d.keys = append(d.keys, stored...)
	}
	return d.keys[at:len(d.keys):len(d.keys)]
}

// head reads what records and items begin with.
func (d *decoder) head(op *Op, item bool) {
	head := d.byte()
	op.Kind = Kind(head & headKind)
	op.Found = head&headFound != 0
	if op.Kind == 0 || op.Kind > kindMax {
		d.fail("unknown kind of operation")
	}
	if head&headExtra != 0 {
		extra := d.byte()
		if extra == 0 || extra > extraMax || item && extra&extraClient != 0 {
			d.fail("extras of an operation")
		}
		op.Snapshot = extra&extraSnapshot != 0
		if extra&extraClient != 0 {
			d.client = uint32(d.uvarint(1<<32 - 1))
		}
		if extra&extraKeyspace != 0 {
			d.keyspace = uint32(d.uvarint(1<<32 - 1))
		}
	}
	op.Client, op.Keyspace = d.client, d.keyspace
	if head&headError != 0 {
		op.Error = ErrorClass(d.byte())
		if op.Error == ErrorNone || op.Error > errorMax {
			d.fail("class of an error")
		}
	}
}

// begin reads a record up to its items. op.Items keeps its memory.
func (d *decoder) begin(op *Op) {
	*op = Op{Items: op.Items[:0]}
	d.keys, d.keyBytes = d.keys[:0], 0
	d.head(op, false)
	d.end += d.uvarint(timeMax)
	if d.end > timeMax/uint64(d.tick) {
		d.end = 0
		d.fail("time of an operation")
	}
	took := d.uvarint(d.end)
	op.Start, op.Took = time.Duration(d.end-took)*d.tick, time.Duration(took)*d.tick
	d.body(op)
}

func (d *decoder) body(op *Op) {
	switch op.Kind {
	case KindGet, KindGetForUpdate, KindGetAndDelete:
		op.Key = d.key()
		if op.Found {
			op.Length = d.length()
		}
	case KindHas, KindDelete:
		op.Key = d.key()
	case KindPut, KindMerge, KindPutIfAbsent, KindAdd:
		op.Key, op.Length = d.key(), d.length()
	case KindPutTTL, KindPutIfAbsentTTL:
		op.Key, op.Length = d.key(), d.length()
		op.TTL = time.Duration(d.uvarint(timeMax/uint64(time.Millisecond))) * time.Millisecond
	case KindCompareAndSwap:
		op.Key = d.key()
		n := int(d.uvarint(valueBytesMax + 1))
		op.Removes, op.Length = n == 0, max(n-1, 0)
	case KindDeleteRange:
		d.bounds(&op.Range)
	case KindScan:
		d.bounds(&op.Range)
		op.Entries, op.Bytes = d.uvarint(timeMax), d.uvarint(timeMax)
	case KindWalk:
		d.walk(op)
	case KindMultiGet, KindBatch, KindTransaction:
		d.group(op)
	case KindKeyspace:
		op.Name = string(d.bytes(int(d.uvarint(nameBytesMax))))
	case KindLost:
		op.Entries = d.uvarint(timeMax)
	}
}

func (d *decoder) length() int { return int(d.uvarint(valueBytesMax)) }

func (d *decoder) bounds(b *Bounds) {
	flags := d.byte()
	if flags > boundMax {
		d.fail("flags of a range")
	}
	b.Backward, b.KeysOnly = flags&boundBackward != 0, flags&boundKeysOnly != 0
	if flags&boundLower != 0 {
		b.Lower = d.key()
	}
	if flags&boundUpper != 0 {
		b.Upper = d.key()
	}
}

func (d *decoder) walk(op *Op) {
	d.bounds(&op.Range)
	op.Walk.Position = Position(d.byte())
	if op.Walk.Position > positionMax {
		d.fail("position of a cursor")
	}
	if op.Walk.Position >= PositionSeekGE {
		op.Key = d.key()
	}
	op.Walk.Forward, op.Walk.Backward = d.uvarint(timeMax), d.uvarint(timeMax)
	op.Entries, op.Bytes = d.uvarint(timeMax), d.uvarint(timeMax)
}

func (d *decoder) group(op *Op) {
	if op.Kind != KindMultiGet {
		flags := d.byte()
		if flags > txMax || op.Kind == KindBatch && flags&^txSync != 0 {
			d.fail("flags of a transaction")
		}
		op.Tx = TxInfo{Outcome: TxOutcome(flags & txOutcomeBits), ReadOnly: flags&txReadOnly != 0,
			SnapshotIsolation: flags&txSnapshot != 0}
		op.Sync = flags&txSync != 0
	}
	if op.Kind == KindTransaction {
		op.Tx.Try = d.uvarint(timeMax)
	}
	op.Cut = d.uvarint(timeMax)
}

// item reads the next item of outer into op, and all of op.
func (d *decoder) item(op *Op, outer Kind) {
	*op = Op{}
	d.head(op, true)
	if d.problem == "" && !op.Kind.mayBeItem(outer) {
		d.fail("kind of an item")
		return
	}
	op.Client = d.client
	d.body(op)
}

// record reads a record with its items.
func (d *decoder) record(op *Op) {
	d.begin(op)
	if d.problem != "" || !op.Kind.hasItems() {
		return
	}
	n := int(d.uvarint(recordItemsMax))
	if n > len(d.buf)/2 { // each has two bytes at least
		d.fail("number of items")
		return
	}
	op.Items = slices.Grow(op.Items, n)[:n]
	outer := d.keyspace
	for i := range op.Items {
		if d.item(&op.Items[i], op.Kind); d.problem != "" {
			op.Items = op.Items[:0]
			return
		}
	}
	d.keyspace = outer
}
