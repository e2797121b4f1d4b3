package damage

import (
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// mustBuild builds the stores.
func mustBuild(t *testing.T, scale int) (stores []*Store) {
	t.Helper()
	var err error
	synctest.Test(t, func(*testing.T) { stores, err = Build(scale) })
	if err != nil {
		t.Fatal(err)
	}
	return stores
}

// fullScale makes stores of 256 KiB and more, where each bit is flipped.
const fullScale = 8

func TestUndamagedStoresReadRight(t *testing.T) {
	for _, s := range slices.Concat(mustBuild(t, 1), mustBuild(t, fullScale)) {
		total := 0
		for _, f := range s.Files {
			total += len(f.Data)
			t.Logf("%s: %s %s %d bytes, needed by %d keys", s.Name, f.Name, f.Role, len(f.Data), len(f.Needs))
		}
		t.Logf("%s: %d bytes, %d keys, %d states", s.Name, total, len(s.Want().keys), len(s.States))
		for _, d := range []depth{looks, follows, opens, churns} {
			k := checker{clones: map[*Store]*vfs.Mem{}}
			c := Case{Name: "none", Target: &File{Needs: map[string]bool{}}}
			words, err := k.run(s, &c, d, 0)
			if err != nil || len(words) != 1 || words[0] != seesNothing {
				t.Error(words, err)
			}
		}
	}
}

// amounts are how many cases there are. By CI and Full every case of its set is
// run, however many they are.
var amounts = testkit.Amount{Short: 300, Normal: 1500, CI: math.MaxInt32, Full: math.MaxInt32}

// TestDamageAtRest damages stores in every way there is and checks what
// promises.md says of it. What users see is compared with docs/damage.md.
//
// The cases have numbers, and come in an order that follows from the seed. A
// failure shows both, and where it has saved the stores' files: with all three
// in the environment the case is run alone.
func TestDamageAtRest(t *testing.T) {
	testkit.CollectRarely(t)
	seed, budget := testkit.Seed(t), amounts.Budget(t)
	full := os.Getenv(testkit.SoakEnv) != ""
	scale, x := 1, extent{shift: int(seed % 8)}
	if full {
		scale, x = fullScale, extent{everyBit: true}
	}
	stores := slices.Concat(mustBuild(t, scale), mustBuild(t, scale))
	if path := os.Getenv(storesEnv); path != "" {
		if err := load(path, stores); err != nil {
			t.Fatal(err)
		}
	}
	cases, err := newSet(stores[:len(stores)/2], stores[len(stores)/2:], x)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases in %d families", cases.len(), len(cases.families))
	r := &runner{t: t, set: cases, seed: seed, matrix: newMatrix()}
	if one := os.Getenv(caseEnv); one != "" {
		r.only(one)
		return
	}
	r.run(budget, testkit.Thorough())
	if r.failures > 0 {
		path, err := save(stores)
		t.Logf("%s=%s with the seed and a case repeats it (%v)", storesEnv, path, err)
	}
	testkit.Count(t, "damage cases", r.done)
	r.matrix.compare(t, !budget.Timed() && testkit.Thorough() && r.failures == 0)
}

// Environment variables that repeat a case, beside testkit.SeedEnv.
const (
	caseEnv   = "CORDWOOD_DAMAGE_CASE"   // its number
	storesEnv = "CORDWOOD_DAMAGE_STORES" // the file that a failure saved
)

// failuresMax is when it has become clear that something is wrong.
const failuresMax = 20

// runner runs cases on two goroutines.
type runner struct {
	t    *testing.T
	set  *set
	seed uint64

	mu       sync.Mutex
	done     int
	failures int
	matrix   *matrix
}

// order gives the numbers of cases: all in the order of a permutation, again
// with another one if more are asked for. With sample, one of each family comes
// first.
func (r *runner) order(budget testkit.Budget, sample bool, yield func(int)) {
	n, seed := 0, r.seed
	more := func() bool { r.mu.Lock(); defer r.mu.Unlock(); return budget.More(n) && r.failures < failuresMax }
	if sample {
		p := newPermutation(len(r.set.families), seed)
		for ; n < len(r.set.families) && more(); n++ {
			k := p.at(n)
			f := r.set.families[k]
			yield(r.set.ends[k] - f.n + int(mix(seed+uint64(k))%uint64(f.n)))
		}
	}
	for ; more(); seed++ {
		p := newPermutation(r.set.len(), seed)
		for i := 0; i < r.set.len() && more(); i++ {
			yield(p.at(i))
			n++
		}
		if !budget.Timed() {
			return
		}
	}
}

func (r *runner) run(budget testkit.Budget, thorough bool) {
	work := make(chan int)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			k := checker{clones: map[*Store]*vfs.Mem{}}
			for i := range work {
				r.one(&k, i)
			}
		})
	}
	r.order(budget, !thorough, func(i int) { work <- i })
	close(work)
	wg.Wait()
}

// one runs a case.
func (r *runner) one(k *checker, i int) {
	s, c := r.set.at(i)
	if !c.changes(s) {
		return
	}
	words, err := k.run(s, &c, depthOf(&c, i), mix(uint64(i)))
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failures++
		r.t.Errorf("%s=%d %s=%d: %v", testkit.SeedEnv, r.seed, caseEnv, i, err)
		return
	}
	r.done++
	r.matrix.note(&c, words)
}

// only runs the case that a failure has named.
func (r *runner) only(number string) {
	i, err := parseCase(number, r.set.len())
	if err != nil {
		r.t.Fatal(err)
	}
	s, c := r.set.at(i)
	words, err := (&checker{clones: map[*Store]*vfs.Mem{}}).run(s, &c, depthOf(&c, i), mix(uint64(i)))
	r.t.Logf("%s store, %s: %v", s.Name, c.Name, words)
	if err != nil {
		r.t.Error(err)
	}
}

// depthOf says how much of a case is tried: a part of those that there are many
// of is only looked at.
func depthOf(c *Case, i int) depth {
	many := c.Damage == damageByte || c.Damage == damageCut || c.Damage == damageMoved || c.Damage == damageForeign
	switch m := mix(uint64(i) + 77); {
	case m%128 == 0, !many && m%4 == 0:
		return churns
	case m%16 == 1, !many && m%4 == 1:
		return opens
	case c.Target.Role == roleRetained:
		return follows
	}
	return looks
}
