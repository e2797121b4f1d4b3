package vlog

import (
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// crashChecker looks at images of a file that is being written.
type crashChecker struct {
	t       *testing.T
	rng     *rand.Rand
	durable []entry // what Sync promised to keep
	proven  int64
	failed  map[base.SeqNum]bool
	images  int
}

// pick returns one of the ways in which a crash may decide.
func (k *crashChecker) pick() func(vfs.CrashItem) vfs.CrashChoice {
	switch k.rng.IntN(5) {
	case 0:
		return nil
	case 1:
		return func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashKeep }
	case 2:
		return func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashTear }
	}
	return func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashChoice(k.rng.IntN(3)) }
}

func (k *crashChecker) check(m *vfs.Mem) {
	k.t.Helper()
	k.images++
	if _, err := m.Stat("/db/" + fileName(1)); err != nil {
		if len(k.durable) > 0 || k.proven > 0 {
			k.t.Fatalf("the file is gone: %v", err)
		}
		return
	}
	if k.proven == 0 {
		return // Create has not returned
	}
	k.scan(m)
	// Recover, crash in the middle of that, recover again.
	crashed := m.KillClone()
	stop := k.rng.IntN(8)
	crashed.SetHook(func(op vfs.Op) error {
		if stop--; stop == 0 {
			k.recoverAndCheck(crashed.CrashClone(k.pick()))
		}
		return nil
	})
	k.recoverAndCheck(crashed)
}

// scan checks that what is durable is valid and that nothing else was made up.
func (k *crashChecker) scan(m *vfs.Mem) {
	k.t.Helper()
	i := 0
	end, err := ScanFile(m, "/db", 1, testID, 0, 0, func(r Record) error {
		if i < len(k.durable) && r.Pointer != k.durable[i].ptr {
			k.t.Fatalf("record %d is %+v, want %+v", i, r.Pointer, k.durable[i].ptr)
		}
		i++
		return nil
	})
	if end < k.proven || i < len(k.durable) {
		k.t.Fatalf("%d records up to %d, want %d up to %d: %v", i, end, len(k.durable), k.proven, err)
	}
	if err != nil {
		wantCorruption(k.t, err)
	}
}

func (k *crashChecker) recoverAndCheck(m *vfs.Mem) {
	k.t.Helper()
	info, err := Recover(m, "/db", 1, testID, k.proven)
	if err != nil {
		k.t.Fatal(err)
	}
	m.SetHook(nil)
	after := m.CrashClone(nil)
	if got, err := Inspect(after, "/db", 1, testID); err != nil || got != info {
		k.t.Fatalf("recovered %+v, then found %+v, %v", info, got, err)
	}
	c := NewFileCache(after, "/db", 1, nil)
	for _, e := range k.durable {
		wantEntry(k.t, c, Location{Physical: 1, ID: testID}, e)
	}
	if err := c.Close(); err != nil {
		k.t.Fatal(err)
	}
}

// crashRun writes one file and takes an image before each operation.
func crashRun(t *testing.T, seed uint64) int {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := newMem(t)
	k := &crashChecker{t: t, rng: rng, failed: map[base.SeqNum]bool{}}
	m.SetHook(func(vfs.Op) error {
		k.check(m.CrashClone(k.pick()))
		return nil
	})
	w := mustCreate(t, m, 1, testID)
	k.proven = HeaderLen
	var all []entry
	for range 12 {
		for range 1 + rng.IntN(3) {
			size := rng.IntN(1500)
			if rng.IntN(6) == 0 {
				size = directBytes + rng.IntN(3000)
			}
			all = append(all, mustAppend(t, w, makeEntry(len(all), size)))
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(2) == 0 {
			durable, err := w.Sync()
			if err != nil {
				t.Fatal(err)
			}
			k.durable, k.proven = all, durable
		}
		k.check(m.CrashClone(k.pick()))
	}
	info, err := w.Seal()
	if err != nil {
		t.Fatal(err)
	}
	k.durable, k.proven = all, info.Size
	k.check(m.CrashClone(nil))
	m.SetHook(nil)
	return k.images
}

func TestWhatIsSyncedSurvivesPowerLoss(t *testing.T) {
	amount := testkit.Amount{Short: 4, Normal: 12, CI: 12, Full: 10_000}
	if invariants.Enabled {
		amount.Short, amount.Normal = 2, 2 // under the race detector each takes a second
	}
	budget, first := amount.Budget(t), testkit.FirstSeed(t)
	images := 0
	for seed := first; budget.More(int(seed - first)); seed++ {
		images += crashRun(t, seed)
		if t.Failed() {
			t.Fatalf("%s=%d", testkit.SeedEnv, seed)
		}
	}
	testkit.Count(t, "crash images of the value log", images)
}

func TestARewrittenFileIsDurableWhenFinishReturns(t *testing.T) {
	m := newMem(t)
	writeFile(t, m, 1, testID, 10, 1000, directBytes, 20, 3000)
	rng := rand.New(rand.NewPCG(1, 2))
	k := &crashChecker{t: t, rng: rng}
	finished := false
	m.SetHook(func(vfs.Op) error {
		image := m.CrashClone(k.pick())
		if _, err := image.Stat("/db/" + fileName(2)); err == nil {
			_, err := VerifyFile(image, "/db", 2, testID+1, 0, nil)
			if err != nil {
				wantCorruption(t, err)
			}
			if finished && err != nil {
				t.Fatal(err)
			}
		} else if finished {
			t.Fatal(err)
		}
		return nil
	})
	rewrite(t, m, 2, testID+1, keepAll, 1)
	finished = true
	if _, err := m.Stat("/db"); err != nil {
		t.Fatal(err)
	}
	m.SetHook(nil)
}

func TestRecoverRefusesToCutWhatWasDurable(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID, 100, 100, 100)
	size := int64(len(readFile(t, m, 1)))
	b := readFile(t, m, 1)
	b[es[1].ptr.Offset+60] ^= 1
	writeBytes(t, m, 1, b)
	_, err := Recover(m, "/db", 1, testID, size)
	wantCorruption(t, err)
	if int64(len(readFile(t, m, 1))) != size {
		t.Fatal("the file was changed")
	}
	info, err := Recover(m, "/db", 1, testID, int64(es[1].ptr.Offset))
	if err != nil || info.Size != int64(es[1].ptr.Offset) || info.Records != 1 {
		t.Fatalf("got %+v, %v", info, err)
	}
	_, err = Recover(m, "/db", 1, testID, size) // shorter than what was durable
	wantCorruption(t, err)
	_, err = Recover(m, "/db", 1, testID+1, 0)
	wantCorruption(t, err)
	b[70] ^= 1 // the header is never a torn tail: it was synced before anything else
	b[20] ^= 1
	writeBytes(t, m, 1, b)
	_, err = Recover(m, "/db", 1, testID, 0)
	wantCorruption(t, err)
}
