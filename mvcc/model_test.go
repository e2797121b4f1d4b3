package mvcc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// cell is a version in the model.
type cell struct {
	ts      Timestamp
	value   string
	deleted bool
}

// model holds every version that was ever written, and compares a space with
// that.
type model struct {
	t     *testing.T
	rng   *rand.Rand
	fs    *vfs.Mem
	store *db.DB
	s     *Space

	keys    map[string][]cell // newest first
	discard Timestamp
	views   []*View
	snaps   []snapView
	count   int
}

// snapView is a view of a snapshot, with what it saw at first.
type snapView struct {
	snap *db.Snapshot
	view *View
	saw  string
}

func (m *model) key() string {
	const letters = "\x00\x01\x02ab"
	var b strings.Builder
	for range m.rng.IntN(4) {
		b.WriteByte(letters[m.rng.IntN(len(letters))])
	}
	return b.String()
}

func (m *model) value() string {
	m.count++
	switch m.rng.IntN(8) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%d%s", m.count, strings.Repeat("v", 100)) // in the value log
	case 2:
		return fmt.Sprintf("%d%s", m.count, strings.Repeat("w", 600)) // not saved by cursors
	}
	return fmt.Sprint(m.count)
}

// ts is a timestamp that can be written at, often one that was used.
func (m *model) ts() Timestamp { return m.discard + 1 + Timestamp(m.rng.IntN(30)) }

func (m *model) put(key string, c cell) {
	cells := m.keys[key]
	i, found := slices.BinarySearchFunc(cells, c.ts, func(have cell, ts Timestamp) int {
		return -int(have.ts) + int(ts)
	})
	if found {
		cells[i] = c
	} else {
		cells = slices.Insert(cells, i, c)
	}
	m.keys[key] = cells
}

// see is what the model has for key at ts.
func (m *model) see(key string, ts Timestamp) (c cell, ok bool) {
	for _, c := range m.keys[key] {
		if c.ts <= ts {
			return c, !c.deleted
		}
	}
	return cell{}, false
}

func (m *model) commit() {
	b, ts := m.s.NewBatch(), m.ts()
	staged := map[string]cell{}
	for range 1 + m.rng.IntN(6) {
		key := m.key()
		if m.rng.IntN(3) == 0 {
			must(m.t, b.Delete([]byte(key)))
			staged[key] = cell{ts: ts, deleted: true}
			continue
		}
		value := m.value()
		must(m.t, b.Put([]byte(key), []byte(value)))
		staged[key] = cell{ts: ts, value: value}
	}
	var err error
	switch m.rng.IntN(4) {
	case 0:
		since := ts - 1 - Timestamp(m.rng.IntN(int(ts)))
		newer := false
		for key := range staged {
			newer = newer || len(m.keys[key]) > 0 && m.latest(key) > since
		}
		err = b.CommitIf(ctx, since, ts, db.DefaultDurability)
		if !newer && since < m.s.effective() {
			wantsErr(m.t, err, ErrDiscarded)
			return
		}
		if errors.Is(err, db.ErrConflict) != newer {
			m.t.Fatalf("commit of what was read at %d: %v, newer versions: %v", since, err, newer)
		}
		if newer {
			return
		}
	case 1:
		err = m.store.Update(ctx, func(tx *db.Tx) error { return b.AddTo(tx, ts) })
	default:
		err = b.Commit(ts, db.DefaultDurability)
	}
	must(m.t, err)
	for key, c := range staged {
		m.put(key, c)
	}
}

// latest is what LatestTimestamp says, once it was compared with the model.
func (m *model) latest(key string) Timestamp {
	got, err := m.s.LatestTimestamp([]byte(key))
	must(m.t, err)
	want := cell{}
	if cells := m.keys[key]; len(cells) > 0 {
		want = cells[0]
	}
	gone := want.deleted && want.ts <= m.discard && got < want.ts
	if got != want.ts && !gone {
		m.t.Fatalf("latest version of %q is %d, want %d", key, got, want.ts)
	}
	return got
}

// check compares what a view sees with the model.
func (m *model) check(v *View) {
	t, ts := m.t, v.Timestamp()
	lower, upper := m.key(), m.key()
	r := db.Between([]byte(lower), []byte(upper))
	if m.rng.IntN(4) == 0 {
		lower, upper, r = "", "\xff", db.All()
	}
	var want []string
	for key := range m.keys {
		if c, ok := m.see(key, ts); ok && lower <= key && key < upper {
			want = append(want, fmt.Sprintf("%s=%s@%d", key, c.value, c.ts))
		}
	}
	// '=' sorts after 0 to 2 and before letters: sort by key alone.
	slices.SortFunc(want, func(a, b string) int {
		return strings.Compare(a[:strings.IndexByte(a, '=')], b[:strings.IndexByte(b, '=')])
	})
	m.same(fmt.Sprintf("at %d in [%q, %q)", ts, lower, upper), read(t, v, r), strings.Join(want, " "))
	m.walk(v, r, want)
	slices.Reverse(want)
	m.same(fmt.Sprintf("backward at %d in [%q, %q)", ts, lower, upper), read(t, v, r.Backward()), strings.Join(want, " "))
	m.points(v)
}

// same fails with the place where got and want begin to differ.
func (m *model) same(what, got, want string) {
	m.t.Helper()
	if got == want {
		return
	}
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	around := func(s string) string { return s[max(n-20, 0):min(n+40, len(s))] }
	m.t.Fatalf("%s, from byte %d on:\ngot  %q\nwant %q", what, n, around(got), around(want))
}

// walk moves a cursor at random over what a range holds.
func (m *model) walk(v *View, r db.Range, want []string) {
	c, err := v.NewCursor(r)
	must(m.t, err)
	defer c.Close()
	at, fresh := -1, true
	for range 20 {
		var ok bool
		switch m.rng.IntN(6) {
		case 0:
			ok, at = c.First(), 0
		case 1:
			ok, at = c.Last(), len(want)-1
		case 2, 3:
			if ok = c.Next(); at < len(want) {
				at++
			}
		case 4:
			if ok = c.Prev(); fresh {
				at = len(want)
			}
			at = max(at-1, -1)
		case 5:
			key := m.key()
			at = len(want)
			for i, w := range want {
				if w[:strings.IndexByte(w, '=')] >= key {
					at = i
					break
				}
			}
			if m.rng.IntN(2) == 0 {
				ok = c.SeekGE([]byte(key))
			} else {
				ok = c.SeekLT([]byte(key))
				at--
			}
		}
		must(m.t, c.Err())
		fresh = false
		in := at >= 0 && at < len(want)
		if ok != in || ok != c.Valid() {
			m.t.Fatalf("cursor is at %d of %d: %v, %v", at, len(want), ok, c.Valid())
		}
		if !ok {
			continue
		}
		value, err := c.AppendValue(nil)
		must(m.t, err)
		if got := fmt.Sprintf("%s=%s@%d", c.Key(), value, c.Version()); got != want[at] {
			m.same("cursor", got, want[at])
		}
	}
}

// points compares point reads.
func (m *model) points(v *View) {
	t, ts := m.t, v.Timestamp()
	keys := make([][]byte, 8)
	for i := range keys {
		keys[i] = []byte(m.key())
	}
	values, err := v.MultiGet(keys...)
	must(t, err)
	for i, key := range keys {
		want, ok := m.see(string(key), ts)
		got, version, err := v.GetVersion(key)
		has, hasErr := v.Has(key)
		must(t, hasErr)
		if has != ok || (values[i] != nil) != ok || errors.Is(err, db.ErrNotFound) == ok {
			t.Fatalf("%q at %d: has %v, multiget %q, get %v; want %v", key, ts, has, values[i], err, ok)
		}
		if ok && (string(got) != want.value || string(values[i]) != want.value || version != want.ts) {
			t.Fatalf("%q at %d: %q, %q @%d; want %q@%d", key, ts, got, values[i], version, want.value, want.ts)
		}
		m.latest(string(key))
		m.history(string(key))
	}
}

// history compares the list of versions: all that a view could tell apart are
// there, and none that was not written.
func (m *model) history(key string) {
	safe := m.s.effective()
	var have []cell
	for v, err := range m.s.Versions([]byte(key)) {
		must(m.t, err)
		have = append(have, cell{ts: v.Timestamp(), deleted: v.Deleted()})
	}
	for _, c := range m.keys[key] {
		if len(have) > 0 && have[0].ts == c.ts && have[0].deleted == c.deleted {
			have = have[1:]
		} else if c.ts > safe || !c.deleted {
			m.t.Fatalf("%q: version %d is gone, versions above %d should be there", key, c.ts, safe)
		}
		if c.ts <= safe {
			break // older ones may be gone
		}
	}
	for _, h := range have {
		if !slices.ContainsFunc(m.keys[key], func(c cell) bool { return c.ts == h.ts && c.deleted == h.deleted }) {
			m.t.Fatalf("%q: version %d was never written", key, h.ts)
		}
	}
}

// compacted checks that nothing is left in r but what somebody can see.
func (m *model) compacted(r db.Range) {
	safe := m.s.effective()
	for key := range m.keys {
		if key < string(r.Lower()) {
			continue
		}
		n := 0
		for v, err := range m.s.Versions([]byte(key)) {
			must(m.t, err)
			if v.Timestamp() > safe {
				continue
			}
			if n++; n > 1 || v.Deleted() {
				m.t.Fatalf("%q: version %d is left below %d, deletion: %v", key, v.Timestamp(), safe, v.Deleted())
			}
		}
	}
}

func (m *model) closeReaders() {
	for _, v := range m.views {
		must(m.t, v.Close())
	}
	for _, s := range m.snaps {
		must(m.t, s.view.Close(), s.snap.Close())
	}
	m.views, m.snaps = nil, nil
}

func (m *model) open() {
	m.store = openStore(m.t, m.fs)
	m.s = openSpace(m.t, m.store)
	if got := m.s.Discard(); got != m.discard {
		m.t.Fatalf("discard timestamp %d, want %d", got, m.discard)
	}
}

func (m *model) snapshot() {
	snap, err := m.store.Snapshot()
	must(m.t, err)
	v, err := m.s.AtSnapshot(snap, m.discard+Timestamp(m.rng.IntN(20)))
	must(m.t, err)
	m.snaps = append(m.snaps, snapView{snap, v, read(m.t, v, db.All())})
}

func (m *model) step() {
	switch n := m.rng.IntN(100); {
	case n < 60:
		m.commit()
	case n < 65:
		must(m.t, m.store.Flush(ctx))
	case n < 68:
		r := db.All()
		if m.rng.IntN(2) == 0 {
			r = db.From([]byte(m.key()))
		}
		must(m.t, m.s.Compact(ctx, r))
		m.compacted(r)
	case n < 70:
		must(m.t, m.s.ks.Compact(ctx, db.All()))
	case n < 75:
		m.discard += Timestamp(m.rng.IntN(8))
		must(m.t, m.s.SetDiscard(m.discard))
		if m.discard > 0 {
			_, err := m.s.At(m.discard - 1)
			wantsErr(m.t, err, ErrDiscarded)
			wantsErr(m.t, m.s.NewBatch().Commit(m.discard, db.DefaultDurability), ErrDiscarded)
		}
	case n < 79:
		m.views = append(m.views, at(m.t, m.s, m.discard+Timestamp(m.rng.IntN(20))))
	case n < 81:
		m.snapshot()
	case n < 84:
		m.closeReaders()
	case n < 86:
		m.closeReaders()
		must(m.t, m.store.Close())
		m.open()
	default:
		v := at(m.t, m.s, m.discard+Timestamp(m.rng.IntN(40)))
		m.check(v)
		must(m.t, v.Close())
		for _, v := range m.views {
			m.check(v)
		}
		for _, s := range m.snaps {
			m.same(fmt.Sprintf("a snapshot at %d", s.view.Timestamp()), read(m.t, s.view, db.All()), s.saw)
		}
	}
}

// TestAnyTimestampAboveTheDiscardReadsAsInAModel: random commits, in any order
// of timestamps, with flushes, compactions, discards, open views and reopening.
func TestAnyTimestampAboveTheDiscardReadsAsInAModel(t *testing.T) {
	runs := 6
	if testing.Short() {
		runs = 1
	}
	for range runs {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 0)), fs: vfs.NewMem(), keys: map[string][]cell{}}
			m.open()
			for range 1200 {
				m.step()
			}
			m.closeReaders()
			must(t, m.store.Close())
		})
	}
}
