package model

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// write makes one write of a kind.
func (r *run) write(op byte) error {
	s, err := r.space()
	if err != nil {
		return err
	}
	w := r.writeOf(s, op)
	r.noteWrite("", &w)
	if err := w.do(r.writer(s)); err != nil {
		return err
	}
	return r.committed([]write{w}, r.syncs(db.DefaultDurability))
}

// applyBatch applies a batch, of the store or of its own.
func (r *run) applyBatch() error {
	batch := r.batch
	if batch.Reset(); r.draw.One(8) {
		batch = new(db.Batch)
	}
	n := r.draw.IntN(12)
	if r.draw.One(200) {
		n = r.draw.IntN(600) // larger than a small memtable
	}
	d := pick(r, db.NoSync, db.NoSync, db.DefaultDurability, db.Sync)
	r.note("batch of %d, durability %d", n, d)
	writes, size := make([]write, 0, n), 0
	for range n {
		s, err := r.space()
		if err != nil {
			return err
		}
		w := r.drawWrite(s)
		if batch != r.batch && (w.ttl > 0 || s.ttl > 0) {
			w = write{in: s, now: r.now, op: 'd', key: w.key} // its time is the machine's
		}
		r.noteWrite("  ", &w)
		if err := w.do(r.batched(batch, s)); err != nil {
			return err
		}
		if w.empty() {
			r.note("    which is nothing")
		} else {
			size += len(w.key) + len(w.end) + len(w.value)
			writes = append(writes, w)
		}
	}
	if n = len(writes); batch.Len() != n || batch.Bytes() < int64(size) {
		return fmt.Errorf("a batch of %d writes of %d bytes has %d of %d", n, size, batch.Len(), batch.Bytes())
	}
	if err := r.store.Apply(batch, d); err != nil {
		return err
	}
	return r.committed(writes, r.syncs(d))
}

// batched writes to the space as a part of the batch.
func (r *run) batched(batch *db.Batch, s *space) db.Writer {
	if s.id == 0 && r.draw.One(2) {
		return batch
	}
	return batch.In(s.handle)
}

// callWrongly makes calls that are refused, and change nothing.
func (r *run) callWrongly() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	long, key := make([]byte, db.MaxKeyBytes+1), r.key()
	to, seqs := r.writer(s), db.FeedOptions{Resume: true, After: 1 << 60}
	var want, got error
	switch r.draw.IntN(11) {
	case 0:
		want, got = db.ErrKeyTooLarge, to.Put(long, nil)
	case 1:
		_, got = s.handle.Get(long)
		want = db.ErrNotFound
	case 2:
		want, got = db.ErrInvalidTTL, to.PutTTL(key, nil, -time.Duration(r.draw.IntN(2)))
	case 3:
		want, got = db.ErrInvalidRange, to.DeleteRange(db.Between([]byte("b"), []byte("a")))
	case 4:
		_, got = r.store.Subscribe(seqs)
		want = db.ErrFeedAhead
	case 5:
		_, got = db.Open(dir, &r.opts)
		want = db.ErrLocked
	case 6:
		_, got = s.handle.Sequence(nil, 0)
		if _, ok := r.want.of(s).get("", r.now); !ok {
			want = nil // opening one writes nothing
			break
		}
		want = db.ErrNotSequence
	case 7:
		_, got = db.ReadPage(s.handle, db.All(), []byte("token"), 1)
		want = db.ErrInvalidToken
	case 8:
		want, got = db.ErrKeyTooLarge, r.batched(r.batch, s).Put(long, nil)
		r.batch.Reset()
	case 9:
		if _, err := r.store.Keyspace(strings.Repeat("x", db.KeyspaceNameBytesMax+1), nil); err == nil {
			return errors.New("a keyspace with too long a name was made")
		}
	default:
		if s.op != nil {
			return nil
		}
		want, got = db.ErrNoMerge, to.Merge(key, nil)
	}
	if !errors.Is(got, want) || (want == nil) != (got == nil) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// equal compares two values, of which nil is none.
func equal(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
