package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Errors of sequences.
var (
	// ErrNotSequence says that the key has a value that no Sequence has put
	// there. It stays.
	ErrNotSequence = errors.New("cordwood: value is not that of a sequence")
	// ErrSequenceExhausted says that all numbers have been given out.
	ErrSequenceExhausted = errors.New("cordwood: sequence is exhausted")
)

// SequenceLeaseDefault is the lease of a Sequence if none is given.
const SequenceLeaseDefault = 1000

// Sequence gives out numbers, each once in the life of the store: 1, 2, 3 and
// so on up to 2^64 - 2. It leases a range of them at a time. The end of a lease
// is durable before the first number of it is given out, so that no number comes
// again after a crash or a power loss, whatever the durability of the store; the
// rest of a lease that was not closed is skipped then.
//
// Any number of them may be open on one key: their leases do not overlap. Safe
// for concurrent use.
type Sequence struct {
	ks    *Keyspace
	key   []byte
	lease uint64

	mu     sync.Mutex // guards what follows; held while a lease is taken
	next   uint64     // to give out
	end    uint64     // of the lease, excluded
	closed bool
}

// Sequence opens the sequence at key, with the number of Next calls between two
// synced commits as lease; 0 means SequenceLeaseDefault. Nothing is written
// before the first Next. A second Sequence on a key may have another lease.
//
// The value at key belongs to the sequence, docs/format/sequence.md specifies
// it. If it is overwritten, removed, dropped by a compaction filter, or gets lost
// with a store that is replaced by an older copy, numbers come again. It never
// expires, whatever the keyspace's time to live. Errors: ErrNotSequence if there
// is another value, FormatError if it is one of a newer version.
func (ks *Keyspace) Sequence(key []byte, lease uint64) (*Sequence, error) {
	if err := ks.db.writable(); err != nil {
		return nil, err
	}
	if len(key) > MaxKeyBytes {
		return nil, ErrKeyTooLarge
	}
	if lease == 0 {
		lease = SequenceLeaseDefault
	}
	value, err := ks.Get(key)
	if err == nil {
		_, err = decodeSequence(value)
	} else if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return &Sequence{ks: ks, key: append([]byte{}, key...), lease: lease}, nil
}

// Sequence is [Keyspace.Sequence] of the default keyspace.
func (db *DB) Sequence(key []byte, lease uint64) (*Sequence, error) {
	return db.main.Sequence(key, lease)
}

// Next gives out the next number. The numbers of one Sequence ascend strictly;
// those of another one on the same key lie between, below or above them.
//
// One call in a lease takes a synced commit, and the others wait for it. After
// an error the next call tries again. Errors: ErrSequenceExhausted, ErrClosed if
// the sequence or the store is closed, ErrKeyspaceDropped also while numbers of
// the lease are left, and those of a write.
func (s *Sequence) Next() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.ks.db.state.Load() == nil {
		return 0, ErrClosed
	}
	if s.ks.dropped.Load() {
		// One of that name that is made now counts from 1 again.
		return 0, s.ks.droppedErr()
	}
	if s.next == s.end {
		if err := s.extend(); err != nil {
			return 0, err
		}
	}
	n := s.next
	s.next++
	return n, nil
}

// extend takes a lease. Called with mu held.
func (s *Sequence) extend() error {
	var from, end uint64
	err := s.change(Sync, func(stored uint64) (uint64, bool, error) {
		if stored == math.MaxUint64 {
			return 0, false, ErrSequenceExhausted
		}
		from = stored
		end = from + min(s.lease, math.MaxUint64-from)
		return end, true, nil
	})
	if err != nil {
		return err
	}
	// Not before: the lease is durable now.
	s.next, s.end = from, end
	return nil
}

// Close gives back what is left of the lease, if nobody has leased after it, and
// ends the sequence. The commit for that is not synced: if it gets lost, so do
// the numbers. A second Close does nothing, nor does one after that of the store, or
// after the keyspace was dropped.
func (s *Sequence) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.next == s.end {
		return nil
	}
	err := s.change(NoSync, func(stored uint64) (uint64, bool, error) {
		// What lies below the stored number was given out or is leased: if that
		// is the end of this lease, its rest is what lies right below.
		return s.next, stored == s.end, nil
	})
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrKeyspaceDropped) {
		return nil // nothing to give back to
	}
	return err
}

// change replaces the stored number, in one step, with what with makes of it, if
// it wants to.
func (s *Sequence) change(d Durability, with func(stored uint64) (uint64, bool, error)) error {
	c := s.ks.newConditional(s.key)
	defer c.free()
	c.durability = d
	return c.run(func(c *conditional) error {
		stored := uint64(sequenceFirst)
		value, found, err := c.current()
		if err == nil && found {
			stored, err = decodeSequence(value)
		}
		if err != nil {
			return err
		}
		to, write, err := with(stored)
		if err != nil || !write {
			return err
		}
		return c.q.own.set(c.ks, base.KindSet, c.key, 0, encodeSequence(to), false)
	})
}

// The value of a sequence, little-endian. Part of the file format, see
// docs/format/sequence.md.
const (
	sequenceMagic   = "CWSQ"
	sequenceVersion = 1

	sequenceVersionOff = 4 // uint32
	sequenceNextOff    = 8 // uint64: the lowest number that nobody has leased
	sequenceLen        = 16

	sequenceFirst = 1 // what a missing value stands for
)

func encodeSequence(next uint64) []byte {
	b := make([]byte, sequenceLen)
	copy(b, sequenceMagic)
	binary.LittleEndian.PutUint32(b[sequenceVersionOff:], sequenceVersion)
	binary.LittleEndian.PutUint64(b[sequenceNextOff:], next)
	return b
}

func decodeSequence(b []byte) (next uint64, err error) {
	if len(b) < sequenceNextOff || string(b[:sequenceVersionOff]) != sequenceMagic {
		return 0, fmt.Errorf("%w: %d bytes", ErrNotSequence, len(b))
	}
	version := binary.LittleEndian.Uint32(b[sequenceVersionOff:])
	if version > sequenceVersion {
		return 0, &FormatError{File: "value of a sequence", Found: version, Known: sequenceVersion}
	}
	if version == sequenceVersion && len(b) == sequenceLen {
		next = binary.LittleEndian.Uint64(b[sequenceNextOff:])
	}
	if next < sequenceFirst {
		return 0, fmt.Errorf("%w: malformed", ErrNotSequence)
	}
	return next, nil
}
