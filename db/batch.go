package db

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Batch collects writes that Apply commits together. The zero value is an
// empty batch, and Reset makes a used one empty again with its memory kept.
// Keys and values are copied as they are added. Later writes of a batch win
// over earlier ones. Its own methods write to the default keyspace, In to
// others. A Batch is used by one goroutine at a time.
type Batch struct {
	ops   []byte  // encoded operations, without the large ones
	large []large // operations with values that may go to the value log
	count uint32
	bytes int64            // keys and values
	uses  []use            // the keyspaces it writes to, each once
	err   error            // first failed write: sticky until Reset
	clock func() time.Time // nil: time.Now
}

// use is a keyspace that a batch writes to.
type use struct {
	ks    *Keyspace // nil: the default one of the store that it is applied to
	merge bool      // has a Merge
}

// large is an operation whose value is kept out of Batch.ops, so that it can
// go to the value log without being copied again.
type large struct {
	at     int // its place: an offset in Batch.ops
	ks     *Keyspace
	kind   base.Kind
	expiry uint64
	key    []byte
	value  []byte
}

// batchLargeBytes is the value length from which a batch keeps values apart.
const batchLargeBytes = 512

// NewBatch returns an empty batch that takes the time from Options.Clock.
func (db *DB) NewBatch() *Batch { return &Batch{clock: db.clock} }

// Put sets key to value.
func (b *Batch) Put(key, value []byte) error {
	return b.set(nil, base.KindSet, key, 0, value, true)
}

// PutTTL sets key to value until ttl from now, which is when it is added to
// the batch. ttl is positive. The time is that of Options.Clock in a batch from
// NewBatch, otherwise the machine's.
func (b *Batch) PutTTL(key, value []byte, ttl time.Duration) error {
	now := time.Now
	if b.clock != nil {
		now = b.clock
	}
	return b.putTTL(nil, key, value, ttl, now(), true)
}

func (b *Batch) putTTL(ks *Keyspace, key, value []byte, ttl time.Duration, now time.Time, own bool) error {
	expiry, err := expiryAfter(now, ttl)
	if err != nil {
		return b.fail(err)
	}
	return b.set(ks, base.KindSet|base.FlagExpiry, key, expiry, value, own)
}

// expiryAfter is now + ttl in nanoseconds since the Unix epoch.
func expiryAfter(now time.Time, ttl time.Duration) (uint64, error) {
	nanos := now.UnixNano()
	if ttl <= 0 || nanos < 0 || int64(ttl) > math.MaxInt64-nanos {
		return 0, ErrInvalidTTL
	}
	return uint64(nanos) + uint64(ttl), nil
}

// Delete removes key; it is no error if there is none.
func (b *Batch) Delete(key []byte) error {
	return b.add(nil, base.KindDelete, key, nil)
}

// DeleteRange removes every key of r. Its cost does not depend on how many
// there are. r needs no bounds: All() removes everything.
func (b *Batch) DeleteRange(r Range) error { return b.deleteRange(nil, r) }

func (b *Batch) deleteRange(ks *Keyspace, r Range) error {
	if r.empty() {
		if r.bounded && bytes.Compare(r.lower, r.upper) > 0 {
			return b.fail(ErrInvalidRange)
		}
		return b.err
	}
	upper := r.upper
	if !r.bounded {
		upper = keyInfinity
	}
	if len(upper) > MaxKeyBytes+1 {
		return b.fail(ErrKeyTooLarge)
	}
	return b.add(ks, base.KindRangeDelete, r.lower, upper)
}

// keyInfinity is after every key that can be stored.
var keyInfinity = bytes.Repeat([]byte{0xff}, MaxKeyBytes+1)

// Merge adds an operand for the store's merge operator to key.
func (b *Batch) Merge(key, operand []byte) error { return b.addMerge(nil, key, operand) }

func (b *Batch) addMerge(ks *Keyspace, key, operand []byte) error {
	if len(operand) > MaxValueBytes {
		return b.fail(ErrValueTooLarge)
	}
	if err := b.add(ks, base.KindMerge, key, operand); err != nil {
		return err
	}
	b.use(ks).merge = true
	return nil
}

// Len is the number of writes in the batch.
func (b *Batch) Len() int { return int(b.count) }

// Bytes is the length of the batch's keys and values together.
func (b *Batch) Bytes() int64 { return b.bytes }

// Reset makes the batch empty and clears its error.
func (b *Batch) Reset() {
	clear(b.large)
	clear(b.uses)
	*b = Batch{ops: b.ops[:0], large: b.large[:0], uses: b.uses[:0], clock: b.clock}
}

func (b *Batch) fail(err error) error {
	if b.err == nil {
		b.err = err
	}
	return err
}

// use is the batch's note of a keyspace.
func (b *Batch) use(ks *Keyspace) *use {
	for i := range b.uses {
		if b.uses[i].ks == ks {
			return &b.uses[i]
		}
	}
	b.uses = append(b.uses, use{ks: ks})
	return &b.uses[len(b.uses)-1]
}

// numOf is the number of a keyspace, nil being the default one.
func numOf(ks *Keyspace) uint32 {
	if ks == nil {
		return 0
	}
	return ks.num
}

// room checks the limits for one more write and takes it in.
func (b *Batch) room(ks *Keyspace, key, value []byte) error {
	size := int64(len(key)) + int64(len(value))
	switch {
	case b.err != nil:
		return b.err
	case len(key) > MaxKeyBytes:
		return b.fail(ErrKeyTooLarge)
	case len(value) > MaxValueBytes:
		return b.fail(ErrValueTooLarge)
	case b.bytes > MaxBatchBytes-size, b.count == math.MaxUint32:
		return b.fail(ErrBatchTooLarge)
	}
	b.bytes += size
	b.count++
	if len(b.uses) == 0 || b.uses[len(b.uses)-1].ks != ks {
		b.use(ks)
	}
	return nil
}

// A memtable addresses 4 GiB and takes a batch whole, beside what it holds.
const (
	memtableBytesMax = 1 << 30
	inlineBytesMax   = 3 << 30
)

// checkInline checks the limit on what goes into the memtable: everything but
// values that go to the value log. main is what a nil Keyspace stands for.
func (b *Batch) checkInline(main *Keyspace, limit int64) error {
	inline := int64(len(b.ops))
	if inline+b.bytes <= limit {
		return nil
	}
	for i := range b.large {
		l := &b.large[i]
		if n := len(l.value); n < l.threshold(main) {
			inline += int64(n)
		}
		inline += int64(len(l.key))
	}
	if inline > limit {
		return ErrBatchTooLarge
	}
	return nil
}

// threshold is the length from which a value of l's keyspace goes to the value
// log.
func (l *large) threshold(main *Keyspace) int {
	return cmp.Or(l.ks, main).set.Load().threshold
}

// add encodes an operation whose payload stays inline whatever its length.
func (b *Batch) add(ks *Keyspace, kind base.Kind, key, payload []byte) error {
	if err := b.room(ks, key, payload); err != nil {
		return err
	}
	b.ops = base.AppendOp(b.ops, base.Op{Kind: kind, Keyspace: numOf(ks), Key: key, Payload: payload})
	return nil
}

// set encodes a set. own says that a large value must be copied, because it
// has to outlive the call.
func (b *Batch) set(ks *Keyspace, kind base.Kind, key []byte, expiry uint64, value []byte, own bool) error {
	if err := b.room(ks, key, value); err != nil {
		return err
	}
	if len(value) < batchLargeBytes {
		b.ops = appendSet(b.ops, kind, numOf(ks), key, expiry, value)
		return nil
	}
	if own {
		key, value = bytes.Clone(key), bytes.Clone(value)
	}
	b.large = append(b.large, large{len(b.ops), ks, kind, expiry, key, value})
	return nil
}

// appendSet encodes a set with its value inline.
func appendSet(dst []byte, kind base.Kind, keyspace uint32, key []byte, expiry uint64, value []byte) []byte {
	dst = base.AppendOpKey(dst, kind, keyspace, key)
	n := len(value)
	if kind.HasExpiry() {
		n += 8
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	return base.AppendPayload(dst, kind, expiry, value)
}
