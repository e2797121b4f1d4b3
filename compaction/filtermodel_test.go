package compaction

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
)

// modelFilter is a compaction filter for one run of a tree. It compares each
// value that it is shown with what the history says, decides at random, and
// knows afterwards how the history has to be rewritten: as if a delete, or a
// set, had been written in the place of the value.
type modelFilter struct {
	tr     *tree
	run    FilterRun
	snaps  []base.SeqNum
	begun  int
	asked  map[string]verdict
	last   string
	readN  int // values read from the value log
	counts [Change + 1]uint64
}

// verdict is what was said about the value of a key.
type verdict struct {
	seq      base.SeqNum
	zeroed   bool      // the value was shown with sequence number 0
	kind     base.Kind // of what stands there from now on
	decision Decision
	payload  []byte // for Change
}

// filterRun gives env a filter, or none: some runs of a store may have one and
// others not.
func (tr *tree) filterRun(env *Env) *modelFilter {
	m := &modelFilter{tr: tr, snaps: slices.Clone(tr.snaps), asked: map[string]verdict{}}
	if tr.filters == 0 || tr.rng.IntN(tr.filters) != 0 {
		return m
	}
	tr.all.index()
	env.Filter = m
	env.ReadValue = m.read
	if n := len(tr.snaps); n > 0 && tr.rng.IntN(2) == 0 {
		// Readers at the newer ones stay with what they have.
		m.snaps = m.snaps[:tr.rng.IntN(n+1)]
		env.FilterAbove = new(base.SeqNum(0))
		if len(m.snaps) > 0 {
			*env.FilterAbove = m.snaps[len(m.snaps)-1]
		}
	}
	return m
}

func (m *modelFilter) read(key []byte, seq base.SeqNum, p base.Pointer) ([]byte, error) {
	m.readN++
	value, ok := m.tr.all.vlog[p]
	if !ok {
		return nil, fmt.Errorf("%s#%d: dangling %v", key, seq, p)
	}
	return bytes.Clone(value), nil
}

// Begin implements Filter.
func (m *modelFilter) Begin(run FilterRun) FilterFunc {
	m.run = run
	m.begun++
	return m.decide
}

func (m *modelFilter) decide(e *FilterEntry) (Decision, error) {
	key := string(e.Key)
	if m.last >= key && len(m.asked) > 0 {
		return Keep, fmt.Errorf("asked about %s after %s", key, m.last)
	}
	m.last = key
	for _, s := range m.snaps {
		if e.seq <= s {
			return Keep, fmt.Errorf("asked about %s#%d, which snapshot %d sees", key, e.seq, s)
		}
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d %d", key, e.seq, m.tr.now)
	dice := h.Sum64()
	inLog := !e.atHand
	seq := e.seq
	if seq == 0 {
		var err error
		if seq, err = m.unzeroed(e); err != nil {
			return Keep, err
		}
	} else if dice%3 > 0 {
		before := m.readN
		value, err := e.Value()
		if err != nil {
			return Keep, err
		}
		if _, err := e.Value(); err != nil || m.readN > before+1 || !inLog && m.readN > before {
			return Keep, fmt.Errorf("%s#%d: %d reads, %w", key, e.seq, m.readN-before, err)
		}
		want := m.tr.all.read(key, seq, m.tr.now)
		if got := "=" + string(value); got != want || len(value) != e.ValueSize() {
			return Keep, fmt.Errorf("%s#%d (%d bytes): shown %.200q, want %.200q", key, e.seq, e.ValueSize(), got, want)
		}
	}
	v := verdict{seq: seq, zeroed: e.seq == 0, decision: Keep}
	switch dice / 3 % 5 {
	case 0:
		v.decision, v.kind = Drop, base.KindDelete
	case 1, 2:
		e.Replace = fmt.Appendf(nil, "c%d.", seq)
		if dice/15%3 == 0 {
			e.Replace = append(e.Replace, make([]byte, dice/45%200)...)
		}
		v.decision, v.kind = Change, base.KindSet
		if e.ExpiresAt > 0 {
			v.kind |= base.FlagExpiry
		}
		v.payload = base.AppendPayload(nil, v.kind, e.ExpiresAt, e.Replace)
	}
	m.asked[key] = v
	m.counts[v.decision]++
	return v.decision, nil
}

// unzeroed is the sequence number that a value once had: each version of a key
// has a state of its own.
func (m *modelFilter) unzeroed(e *FilterEntry) (base.SeqNum, error) {
	value, err := e.Value()
	if err != nil {
		return 0, err
	}
	for _, old := range m.tr.all.byKey[string(e.Key)] {
		if seq := old.Key.Trailer.SeqNum(); m.tr.all.read(string(e.Key), seq, m.tr.now) == "="+string(value) {
			return seq, nil
		}
	}
	return 0, fmt.Errorf("%s: shown %.200q, which never was its value", e.Key, value)
}

// done checks what a run made of the verdicts, and rewrites the history.
func (m *modelFilter) done(run FilterRun, tables []manifest.AddedTable, stats Stats) {
	t := m.tr.t
	t.Helper()
	if m.begun == 0 {
		if stats.Filtered+stats.Changed > 0 {
			t.Fatalf("counted without a filter: %+v", stats)
		}
		return
	}
	m.tr.snaps = slices.Clone(m.snaps)
	if m.begun != 1 || m.run != run {
		t.Fatalf("begun %d times, with %+v, want %+v", m.begun, m.run, run)
	}
	if stats.Filtered != m.counts[Drop] || stats.Changed != m.counts[Change] {
		t.Fatalf("said %v, counted %+v", m.counts, stats)
	}
	m.checkAllAsked(tables)
	for key, v := range m.asked {
		if v.decision == Keep {
			continue
		}
		i := slices.IndexFunc(m.tr.all.entries, func(e iterator.Entry) bool {
			return string(e.Key.User) == key && e.Key.Trailer.SeqNum() == v.seq
		})
		if i < 0 {
			t.Fatalf("asked about %s#%d, which was never written", key, v.seq)
		}
		m.tr.all.entries[i] = iterator.Entry{
			Key: base.InternalKey{User: []byte(key), Trailer: base.MakeTrailer(v.seq, v.kind)}, Value: v.payload}
	}
	for d, n := range m.counts {
		m.tr.verdicts[d] += n
	}
}

// checkAllAsked looks for values in the output about which the filter should
// have been asked, and for verdicts that were not carried out.
func (m *modelFilter) checkAllAsked(tables []manifest.AddedTable) {
	t, last := m.tr.t, ""
	seen := map[string]bool{}
	m.tr.eachEntry(tables, func(key base.InternalKey, payload []byte) {
		user, seq := string(key.User), key.Trailer.SeqNum()
		v, asked := m.asked[user]
		if first := user != last; first {
			last = user
			zeroed := seq == 0 && len(m.snaps) == 0
			value := key.Trailer.Kind().Op() == base.KindSet || key.Trailer.Kind().Op() == base.KindSetPointer
			newest := !slices.ContainsFunc(m.snaps, func(s base.SeqNum) bool { return seq <= s })
			if value && newest && (!asked || !zeroed && v.seq != seq) {
				t.Fatalf("not asked about %s#%d", user, seq)
			}
			if value && newest && v.decision == Change && !bytes.Equal(m.stored(key, payload), v.payload) {
				t.Fatalf("%s#%d was not changed: %.100q", user, seq, payload)
			}
			if value && newest && v.decision != Drop {
				seen[user] = true
			}
			if v.decision == Drop && (seq == v.seq || v.zeroed && seq == 0) && key.Trailer.Kind() != base.KindDelete {
				t.Fatalf("%s#%d was not dropped", user, seq)
			}
		}
	})
	for user, v := range m.asked {
		if v.decision != Drop && !seen[user] {
			t.Fatalf("%s#%d is gone without having been dropped", user, v.seq)
		}
	}
}

// stored is an entry's payload, with the value in the place of a pointer.
func (m *modelFilter) stored(key base.InternalKey, payload []byte) []byte {
	kind := key.Trailer.Kind()
	if kind.Op() != base.KindSetPointer {
		return payload
	}
	expiry, enc, err := base.SplitPayload(kind, payload)
	if err != nil {
		m.tr.t.Fatal(err)
	}
	p, err := base.DecodePointer(enc)
	if err != nil {
		m.tr.t.Fatal(err)
	}
	return base.AppendPayload(nil, base.KindSet|kind&base.FlagExpiry, expiry, m.tr.all.vlog[p])
}

// nothingBelow reports that no table of a deeper level than the job's output
// meets its keys.
func (j job) nothingBelow() bool {
	for l, tables := range j.v.Levels {
		for _, t := range tables {
			if l > j.plan.OutputLevel && !endsBefore(t, j.plan.Start) && bytes.Compare(t.Smallest, j.plan.End) <= 0 {
				return false
			}
		}
	}
	return true
}

// eachEntry calls fn for the entries of tables, in order.
func (tr *tree) eachEntry(tables []manifest.AddedTable, fn func(key base.InternalKey, payload []byte)) {
	for _, a := range tables {
		h, err := tr.env.Tables.Get(a.Meta.Num, a.Meta.ID)
		if err != nil {
			tr.t.Fatal(err)
		}
		it := h.NewIter(sstable.IterOptions{})
		for ok := it.First(); ok; ok = it.Next() {
			fn(it.Key(), it.Value())
		}
		if err := it.Close(); err != nil {
			tr.t.Fatal(err)
		}
		h.Release()
	}
}
