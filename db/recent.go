package db

import (
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
)

// recentLog holds the keys that the latest commits have written, for
// transactions whose commit has to be compared with what was written since
// they looked at the tree. It is bounded: what is oldest is forgotten, half of
// it at a time, and floor tells how far it reaches back. Only the leader of a
// group uses it.
//
// All operations of a commit carry the last sequence number of the commit:
// readers see a commit whole, so a finer number would tell nothing.
type recentLog struct {
	on    bool
	floor base.SeqNum   // every operation above it is in the log
	older recentSegment // full
	newer recentSegment // takes what comes
	max   int           // instead of recentSegmentBytes, if not 0
	quiet int           // groups since somebody needed the log
}

// recentSegmentBytes is what one of the two segments holds; it may take twice
// that in memory.
const recentSegmentBytes = 1 * mib

// recentQuietMax is for how many groups the log goes on while no transaction
// is open. A transaction that begins meanwhile finds commits in it that are not
// published yet, for which it would otherwise have to wait.
const recentQuietMax = 1024

// recentSegment is a run of operations, their sequence numbers ascending.
type recentSegment struct {
	ops   []recentOp
	arena []byte
}

// recentOp is one operation: on a key, or on [key, end).
type recentOp struct {
	seq      base.SeqNum
	keyspace uint32
	at       uint32 // in the arena: key, then end
	keyLen   uint32
	endLen   uint32
	isRange  bool
}

const recentOpBytes = 32

func (s *recentSegment) size() int { return len(s.arena) + len(s.ops)*recentOpBytes }

func (s *recentSegment) reset() { s.ops, s.arena = s.ops[:0], s.arena[:0] }

// follow switches the log on when somebody needs it, and off when nobody has
// for a while. It is called before each group; applied is the last sequence
// number in a memtable.
func (l *recentLog) follow(needed bool, applied base.SeqNum) {
	switch {
	case needed && l.on:
		l.quiet = 0
	case needed:
		l.start(applied)
	case l.on:
		if l.quiet++; l.quiet > recentQuietMax {
			*l = recentLog{max: l.max}
		}
	}
	if l.on {
		l.forget(applied)
	}
}

func (l *recentLog) start(applied base.SeqNum) { l.on, l.floor, l.quiet = true, applied, 0 }

// forget drops operations above applied: those of a group that failed.
func (l *recentLog) forget(applied base.SeqNum) {
	l.floor = min(l.floor, applied)
	for _, s := range []*recentSegment{&l.newer, &l.older} {
		n := s.after(applied)
		if n == len(s.ops) {
			return // all of it, and what is older, is at or below applied
		}
		s.arena = s.arena[:s.ops[n].at]
		s.ops = s.ops[:n]
		if n > 0 {
			return
		}
	}
}

// add notes an operation of the commit whose last sequence number is seq.
func (l *recentLog) add(seq base.SeqNum, keyspace uint32, kind base.Kind, key, payload []byte) {
	bound := l.max
	if bound == 0 {
		bound = recentSegmentBytes
	}
	if l.newer.size() >= bound {
		if n := len(l.older.ops); n > 0 {
			l.floor = l.older.ops[n-1].seq
		}
		l.older, l.newer = l.newer, l.older
		l.newer.reset()
	}
	s := &l.newer
	op := recentOp{seq: seq, keyspace: keyspace, at: uint32(len(s.arena)), keyLen: uint32(len(key))}
	s.arena = append(s.arena, key...)
	if kind.Op() == base.KindRangeDelete {
		op.isRange, op.endLen = true, uint32(len(payload))
		s.arena = append(s.arena, payload...)
	}
	s.ops = append(s.ops, op)
}

// addBatch notes all operations of a batch, the last of which has the sequence
// number seq.
func (l *recentLog) addBatch(seq base.SeqNum, b *Batch) error {
	var it batchIter
	for {
		op, _, ok, err := it.next(b)
		if err != nil || !ok {
			return err
		}
		l.add(seq, op.Keyspace, op.Kind, op.Key, op.Payload)
	}
}

// after is the index of the first operation above seq.
func (s *recentSegment) after(seq base.SeqNum) int {
	return sort.Search(len(s.ops), func(i int) bool { return s.ops[i].seq > seq })
}

// wrote reports whether an operation above seq wrote what the sealed set r has
// read. known is false if the log does not reach back to seq.
func (l *recentLog) wrote(r *readSet, seq base.SeqNum) (hit, known bool) {
	if !l.on || seq < l.floor {
		return false, false
	}
	return l.older.wrote(r, seq) || l.newer.wrote(r, seq), true
}

func (s *recentSegment) wrote(r *readSet, seq base.SeqNum) bool {
	for _, op := range s.ops[s.after(seq):] {
		key := s.arena[op.at : op.at+op.keyLen]
		if op.isRange {
			if r.overlaps(op.keyspace, key, s.arena[op.at+op.keyLen:][:op.endLen]) {
				return true
			}
		} else if r.hasKey(op.keyspace, key) {
			return true
		}
	}
	return false
}
