package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// world is a log on a simulated file system together with what must survive.
// Records are numbered by how often the log was opened and by a count, so that
// one that comes back from before a cut is not mistaken for a later one.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	m       *vfs.Mem
	l       *Log
	records []uint32 // appended, in order, the one in flight included
	flight  bool     // the last of records is in flight
	durable int      // how many of records are synced
	opens   uint32
	count   uint32
	images  *int // power losses simulated
	max     int  // how many images to take at one boundary
	trace   []string
}

func (w *world) tracef(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	for _, s := range w.trace {
		w.t.Log(s)
	}
	w.t.Fatalf(format, args...)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fatalf("%v", err)
	}
}

// replayWorld replays an image.
func replayWorld(m vfs.FS) (ids []uint32, res ReplayResult, err error) {
	res, err = Replay(m, testDir, 0, func(r ReplayRecord) error {
		id := binary.LittleEndian.Uint32(r.Payload)
		for _, b := range r.Payload[4:] {
			if b != byte(id)|1 {
				return fmt.Errorf("payload of record %#x is not what was written", id)
			}
		}
		ids = append(ids, id)
		return nil
	})
	return ids, res, err
}

// check replays an image: it must give a prefix of the records, with at least
// those that are durable.
func (w *world) check(m *vfs.Mem, what string) ([]uint32, ReplayResult) {
	w.t.Helper()
	ids, res, err := replayWorld(m)
	if err != nil {
		w.fatalf("%s: %v", what, err)
	}
	if len(ids) < w.durable || len(ids) > len(w.records) {
		w.fatalf("%s: %d records of %d, %d durable; %+v", what, len(ids), len(w.records), w.durable, res)
	}
	for i, id := range ids {
		if id != w.records[i] {
			w.fatalf("%s: record %d is %#x, want %#x", what, i, id, w.records[i])
		}
	}
	return ids, res
}

// subsets calls fn with images of what a power loss now may leave: all if there
// are few, else nothing, everything, each item alone, everything but one, and
// random ones, some of them with torn sectors; max at the most.
func subsets(m *vfs.Mem, rng *rand.Rand, max int, fn func(img *vfs.Mem, what string)) {
	items := m.Unsynced()
	n := len(items)
	take := func(what string, pick func(i int) vfs.CrashChoice) {
		i := -1
		img := m.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { i++; return pick(i) })
		fn(img, what)
	}
	random := func(vals ...vfs.CrashChoice) func(int) vfs.CrashChoice {
		return func(int) vfs.CrashChoice { return vals[rng.IntN(len(vals))] }
	}
	const d, k, t = vfs.CrashDrop, vfs.CrashKeep, vfs.CrashTear
	if n < 8 && 1<<n <= max {
		for set := range 1 << n {
			take(fmt.Sprintf("keep %b of %v", set, items), func(i int) vfs.CrashChoice { return vfs.CrashChoice(set >> i & 1) })
		}
	} else {
		take("keep nothing", func(int) vfs.CrashChoice { return d })
		take("keep all", func(int) vfs.CrashChoice { return k })
		for range min(n, max/4) {
			one := rng.IntN(n)
			take(fmt.Sprintf("keep %v only", items[one]), func(i int) vfs.CrashChoice {
				if i == one {
					return k
				}
				return d
			})
			take(fmt.Sprintf("keep all but %v", items[one]), func(i int) vfs.CrashChoice {
				if i == one {
					return d
				}
				return k
			})
		}
	}
	if n > 0 {
		for range max / 4 {
			take("random", random(d, k))
			take("random, torn", random(d, k, k, t))
		}
	}
}

// watch takes images before every operation of m from now on.
func (w *world) watch() {
	w.m.SetHook(func(op vfs.Op) error {
		if !op.Kind.Mutates() {
			return nil
		}
		subsets(w.m, w.rng, w.max, func(img *vfs.Mem, what string) {
			*w.images++
			what = fmt.Sprintf("before %v %s %d+%d: %s", op.Kind, op.Path, op.Offset, op.Len, what)
			ids, res := w.check(img, what)
			if w.rng.IntN(8) == 0 {
				w.recoverImage(img, ids, res, what) // all that it holds is durable
			}
		})
		killed := w.m.KillClone()
		ids, res := w.check(killed, "killed before "+op.Kind.String())
		// What was written survives the death of the process.
		if want := len(w.records); len(ids) < want-1 || !w.flight && len(ids) < want {
			w.fatalf("killed before %v: %d records of %d", op.Kind, len(ids), want)
		}
		if w.rng.IntN(10) == 0 {
			w.recoverImage(killed, ids, res, fmt.Sprintf("killed before %v %s", op.Kind, op.Path))
		}
		return nil
	})
}

// recoverImage repairs an image and goes on with it, with a crash before each
// operation of both.
func (w *world) recoverImage(img *vfs.Mem, ids []uint32, res ReplayResult, what string) {
	after := &world{t: w.t, rng: w.rng, m: img, records: ids, durable: len(ids), images: w.images, max: 4}
	if len(img.Unsynced()) > 0 {
		after.durable = w.durable
	}
	after.trace = append(append(after.trace, w.trace...), "CRASH "+what)
	img.SetCapacity(-1)
	img.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() {
			subsets(img, w.rng, after.max, func(again *vfs.Mem, what string) {
				*w.images++
				after.check(again, fmt.Sprintf("in recovery, before %v %s: %s", op.Kind, op.Path, what))
			})
		}
		return nil
	})
	after.repairAndCreate(res)
	after.append(10)
	after.sync(true)
	img.SetHook(nil)
	if _, res := after.check(img, "after recovery"); res.Cut != nil {
		after.fatalf("cut after recovery: %+v", res.Cut)
	}
	w.must(after.l.Close())
	if n := img.OpenHandles(); n != 0 {
		after.fatalf("%d handles left open", n)
	}
}

// repairAndCreate does what a database does when it opens.
func (w *world) repairAndCreate(res ReplayResult) {
	if res.Cut != nil {
		w.tracef("repair %+v", *res.Cut)
		w.must(Repair(w.m, testDir, *res.Cut))
		w.must(Repair(w.m, testDir, *res.Cut))
		_, again, err := replayWorld(w.m)
		w.must(err)
		if again.Cut != nil || again.EndLSN != res.EndLSN || again.NextSegment != res.NextSegment {
			w.fatalf("after repair: %+v, before %+v", again, res)
		}
	}
	w.tracef("create %d at %d", res.NextSegment, res.EndLSN)
	opts := testOptions(w.m)
	opts.NewID = w.rng.Uint64
	opts.PreallocateBytes = []int64{0, 1000, 8000}[w.rng.IntN(3)]
	if w.rng.IntN(2) == 0 {
		opts.Synced = res.EndLSN
	}
	var err error
	w.l, err = Create(opts, res.NextSegment, res.EndLSN)
	w.must(err)
	w.durable = len(w.records)
	w.opens++
}

func (w *world) append(n int) {
	w.count++
	id := w.opens<<16 | w.count
	b := binary.LittleEndian.AppendUint32(nil, id)
	for range n {
		b = append(b, byte(id)|1)
	}
	w.tracef("append %#x of %d at %d", id, n, w.l.EndLSN())
	w.records, w.flight = append(w.records, id), true
	_, err := w.l.Append(b)
	w.flight = false
	switch {
	case err == nil:
	case vfs.IsNoSpace(err) && !errors.Is(err, ErrFailed):
		w.tracef("no space")
		w.records = w.records[:len(w.records)-1]
		ids, res := w.check(w.m.KillClone(), "killed after running out of space")
		if len(ids) != len(w.records) || res.Cut != nil {
			w.fatalf("killed after running out of space: %d records of %d, %+v", len(ids), len(w.records), res.Cut)
		}
	default:
		w.must(err)
	}
}

func (w *world) sync(mark bool) {
	w.tracef("sync, mark %v", mark)
	lsn, err := w.l.Sync()
	w.must(err)
	w.durable = len(w.records)
	if mark {
		w.l.MarkSynced(lsn)
	}
}

// step does something at random.
func (w *world) step() {
	switch k := w.rng.IntN(20); {
	case k < 9:
		w.append([]int{0, 20, 100, 600, 3000}[w.rng.IntN(5)])
	case k < 12:
		w.sync(w.rng.IntN(4) > 0)
	case k < 13:
		w.tracef("proof")
		w.must(w.l.WriteProof())
	case k < 16:
		w.tracef("rotate at %d", w.l.EndLSN())
		w.must(w.l.Rotate(w.l.Segment() + 1))
	case k < 18:
		w.fill()
	case k < 19:
		w.reopen(w.m.KillClone(), "kill")
	default:
		w.reopen(w.m.CrashClone(func(vfs.CrashItem) vfs.CrashChoice {
			return vfs.CrashChoice(w.rng.IntN(2))
		}), "power loss")
	}
}

// fill lets an append or a rotation run out of space.
func (w *world) fill() {
	room := int64(w.rng.IntN(12000))
	w.tracef("room for %d", room)
	w.m.SetCapacity(w.m.Used() + room)
	w.append(7000)
	if err := w.l.Rotate(w.l.Segment() + 1); err != nil {
		if !vfs.IsNoSpace(err) || errors.Is(err, ErrFailed) {
			w.must(err)
		}
		w.tracef("no space to rotate")
	}
	w.m.SetCapacity(-1)
}

// reopen goes on with m, as a new process.
func (w *world) reopen(m *vfs.Mem, how string) {
	w.tracef("reopen after %s", how)
	w.must(w.l.Close())
	w.m.SetHook(nil)
	w.m = m
	ids, res := w.check(m, "reopen after "+how)
	w.records = ids
	w.watch()
	w.repairAndCreate(res)
}

func runWorld(t testing.TB, seed uint64, steps, max int, images *int) {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), m: newMem(t), images: images, max: max}
	w.tracef("seed %d", seed)
	w.watch()
	w.repairAndCreate(ReplayResult{NextSegment: 1})
	for range steps {
		w.step()
	}
	w.m.SetHook(nil)
	w.must(w.l.Close())
	if n := w.m.OpenHandles(); n != 0 {
		w.fatalf("%d handles left open", n)
	}
}

// TestCrashLeavesAPrefixWithEverythingSynced simulates power losses and kills
// at every operation of random histories, and again during each recovery.
func TestCrashLeavesAPrefixWithEverythingSynced(t *testing.T) {
	budget, seed := testkit.Amount{Short: 4, Normal: 12, CI: 12, Full: 10_000}.Budget(t), testkit.FirstSeed(t)
	images := 0
	for i := 0; budget.More(i) && !t.Failed(); i++ {
		runWorld(t, seed+uint64(i), 15, 16, &images)
	}
	testkit.Count(t, "crash images of the log", images)
}
