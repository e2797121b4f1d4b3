package isolation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
)

// bug is a mistake that an engine with transactions can make.
type bug uint8

const (
	bugNone        bug = iota
	bugNoReads         // reads of keys are not checked at commit: write skew
	bugNoRanges        // reads of ranges are not checked: phantoms
	bugNoChecks        // nothing is checked: lost updates
	bugShortPast       // commits longer ago than a few others are forgotten
	bugMoving          // reads see the newest values: read skew
	bugStale           // transactions begin in the past
	bugDirty           // reads see what others have not committed
	bugTorn            // a commit shows key by key
	bugHaunted         // a transaction with a conflict takes effect all the same
	bugForgetful       // one commit in a hundred does not take effect
	bugBlindScans      // scans do not see the transaction's own writes
	bugBackward        // scans backward miss the last key
	bugAppendReads     // appends and puts lose what another appended meanwhile
	bugRangeDelete     // a range delete is not checked against others' reads
	bugReopen          // reopening loses a key
)

// toy is an engine of a page: all versions in memory, one lock. Serializable
// transactions check what they read at commit, others what they wrote.
type toy struct {
	bug bug

	mu       sync.Mutex
	seq      int
	versions map[string][]toyVersion // ascending
	changes  []toyChange             // ascending
	dirty    map[string]string
	commits  int
}

type toyVersion struct {
	seq   int
	value string
	gone  bool
}

// toyChange is a key that a commit changed.
type toyChange struct {
	seq     int
	key     string
	ofRange bool
}

func newToy(b bug) *toy {
	return &toy{bug: b, versions: make(map[string][]toyVersion), dirty: make(map[string]string)}
}

func toyKey(space int, key string) string { return fmt.Sprint(space, "/", key) }

func (e *toy) begin(level depgraph.Level, readOnly bool) (txn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := &toyTxn{e: e, level: level, seq: e.seq, writes: make(map[string]toyWrite)}
	if e.bug == bugStale {
		x.seq = max(e.seq-2, 0)
	}
	return x, nil
}

func (e *toy) disturb(*rand.Rand) error { return nil }

func (e *toy) reopen() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bug == bugReopen && len(e.changes) > 0 {
		delete(e.versions, e.changes[len(e.changes)-1].key)
	}
	return nil
}

// at is the value of key as of seq.
func (e *toy) at(key string, seq int) (string, bool) {
	if v, ok := e.dirty[key]; ok && e.bug == bugDirty {
		return v, true
	}
	versions := e.versions[key]
	for i := len(versions) - 1; i >= 0; i-- {
		if v := versions[i]; v.seq <= seq || e.bug == bugMoving {
			return v.value, !v.gone
		}
	}
	return "", false
}

type toyTxn struct {
	e      *toy
	level  depgraph.Level
	seq    int
	writes map[string]toyWrite
	order  []string // of writes
	reads  []string
	ranges [][2]string
	done   bool
}

// toyWrite sets a key, or adds to it.
type toyWrite struct {
	value   string
	gone    bool
	add     bool
	ofRange bool
}

func (x *toyTxn) view(key string) (string, bool) {
	w, own := x.writes[key]
	if own && !w.add {
		return w.value, !w.gone
	}
	v, ok := x.e.at(key, x.seq)
	if own {
		return v + w.value, true
	}
	return v, ok
}

func (x *toyTxn) get(space int, key string) (string, bool, error) {
	runtime.Gosched()
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	x.reads = append(x.reads, toyKey(space, key))
	v, ok := x.view(toyKey(space, key))
	return v, ok, nil
}

func (x *toyTxn) write(key string, w toyWrite) {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	old, own := x.writes[key]
	if w.add && own {
		w = toyWrite{value: old.value + w.value, add: old.add}
	}
	x.writes[key] = w
	x.order = append(x.order, key)
	if v, ok := x.view(key); ok && x.e.bug == bugDirty {
		x.e.dirty[key] = v
	}
}

func (x *toyTxn) put(space int, key, value string) error {
	x.write(toyKey(space, key), toyWrite{value: value})
	return nil
}

func (x *toyTxn) append(space int, key, element string) error {
	x.write(toyKey(space, key), toyWrite{value: element, add: true})
	return nil
}

func (x *toyTxn) remove(space int, key string) error {
	x.write(toyKey(space, key), toyWrite{gone: true})
	return nil
}

func (x *toyTxn) removeRange(space int, start, end string) error {
	keys := x.keysIn(toyKey(space, start), toyKey(space, end))
	x.ranges = append(x.ranges, [2]string{toyKey(space, start), toyKey(space, end)}) // keys that others add stay
	for _, key := range keys {
		x.write(key, toyWrite{gone: true, ofRange: true})
	}
	return nil
}

func (x *toyTxn) keysIn(start, end string) []string {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	keys := make(map[string]bool)
	for key := range x.e.versions {
		keys[key] = true
	}
	for key := range x.writes {
		keys[key] = true
	}
	if x.e.bug == bugDirty {
		for key := range x.e.dirty {
			keys[key] = true
		}
	}
	maps.DeleteFunc(keys, func(key string, _ bool) bool { return key < start || key >= end })
	return slices.Sorted(maps.Keys(keys))
}

func (x *toyTxn) scan(space int, start, end string, backward bool) ([]pair, error) {
	runtime.Gosched()
	keys := x.keysIn(toyKey(space, start), toyKey(space, end))
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	x.ranges = append(x.ranges, [2]string{toyKey(space, start), toyKey(space, end)})
	var found []pair
	for _, key := range keys {
		v, ok := x.view(key)
		if x.e.bug == bugBlindScans {
			v, ok = x.e.at(key, x.seq)
		}
		if ok {
			found = append(found, pair{key[strings.Index(key, "/")+1:], v})
		}
	}
	if backward {
		if x.e.bug == bugBackward && len(found) > 0 {
			found = found[:len(found)-1]
		}
		slices.Reverse(found)
	}
	return found, nil
}

// conflict reports whether others changed what this transaction depends on.
func (x *toyTxn) conflict() bool {
	e := x.e
	if e.bug == bugNoChecks || len(x.writes) == 0 {
		return false
	}
	for _, c := range e.changes {
		switch {
		case c.seq <= x.seq, e.bug == bugShortPast && c.seq < e.seq-1, e.bug == bugRangeDelete && c.ofRange:
			continue
		case x.level == depgraph.SnapshotIsolation:
			if _, ok := x.writes[c.key]; ok {
				return true
			}
			continue
		case e.bug != bugNoReads && slices.Contains(x.reads, c.key):
			return true
		}
		for _, r := range x.ranges {
			if e.bug != bugNoRanges && c.key >= r[0] && c.key < r[1] {
				return true
			}
		}
	}
	return false
}

func (x *toyTxn) commit() error {
	runtime.Gosched()
	e := x.e
	e.mu.Lock()
	defer e.mu.Unlock()
	defer x.end()
	conflict := x.conflict()
	if conflict && (e.bug != bugHaunted || e.commits%3 != 0) {
		e.commits++
		return errConflict
	}
	e.commits++
	if e.bug == bugForgetful && e.commits%100 == 0 {
		return nil
	}
	e.seq++
	for _, key := range slices.Compact(x.order) {
		if _, ok := x.writes[key]; !ok {
			continue
		}
		x.publish(key)
		if e.bug == bugTorn {
			e.seq++
			e.mu.Unlock()
			runtime.Gosched()
			e.mu.Lock()
		}
	}
	if conflict {
		return errConflict
	}
	return nil
}

func (x *toyTxn) publish(key string) {
	e, w := x.e, x.writes[key]
	if w.add {
		seq := e.seq
		if e.bug == bugAppendReads {
			seq = x.seq
		}
		old, _ := e.at(key, seq)
		w.value = old + w.value
	}
	e.versions[key] = append(e.versions[key], toyVersion{e.seq, w.value, w.gone})
	e.changes = append(e.changes, toyChange{e.seq, key, w.ofRange})
	if len(e.changes) > 2000 {
		e.changes = slices.Clone(e.changes[1000:]) // no transaction is open for so long
	}
	delete(x.writes, key)
}

func (x *toyTxn) end() {
	x.done = true
	for _, key := range x.order {
		delete(x.e.dirty, key)
	}
}

func (x *toyTxn) discard() {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	if !x.done {
		x.end()
	}
}

// The workloads and the table find each bug of the toy, and none where there is
// none.
func TestWorkloadsFindPlantedBugs(t *testing.T) {
	testkit.Sequential(t)
	workloads := map[string]func(engine, uint64) error{
		"lists": func(e engine, seed uint64) error {
			return runLists(e, listsConfig{level: depgraph.Serializable, rounds: 2, txns: 300, seed: seed})
		},
		"snapshot lists": func(e engine, seed uint64) error {
			return runLists(e, listsConfig{level: depgraph.SnapshotIsolation, rounds: 2, txns: 300, seed: seed})
		},
		"transactions": func(e engine, seed uint64) error {
			return runTransactions(e, transactionsConfig{rounds: 2, txns: 200, seed: seed})
		},
		"bank": func(e engine, seed uint64) error {
			return runBank(e, bankConfig{level: depgraph.Serializable, rounds: 2, txns: 200, seed: seed})
		},
	}
	for _, c := range []struct {
		name  string
		bug   bug
		finds []string // the workloads that must; others may
	}{
		{"none", bugNone, nil},
		{"reads are not checked", bugNoReads, []string{"lists", "transactions"}},
		{"ranges are not checked", bugNoRanges, []string{"lists", "transactions"}},
		{"nothing is checked", bugNoChecks, []string{"lists", "snapshot lists", "transactions", "bank"}},
		{"a short past", bugShortPast, []string{"lists", "transactions"}},
		{"a moving snapshot", bugMoving, []string{"lists", "snapshot lists", "transactions", "bank"}},
		{"stale transactions", bugStale, []string{"lists", "snapshot lists", "transactions"}},
		{"dirty reads", bugDirty, []string{"lists", "snapshot lists", "transactions", "bank"}},
		{"torn commits", bugTorn, []string{"lists", "snapshot lists", "transactions", "bank"}},
		{"aborted transactions that happened", bugHaunted, []string{"lists", "transactions"}},
		{"commits that did not happen", bugForgetful, []string{"lists", "snapshot lists", "transactions"}},
		{"scans without own writes", bugBlindScans, []string{"lists", "snapshot lists", "transactions"}},
		{"scans backward", bugBackward, []string{"lists", "snapshot lists", "bank"}},
		{"appends that read too early", bugAppendReads, []string{"lists"}},
		{"range deletes nobody checks", bugRangeDelete, []string{"transactions"}},
		{"a key lost by reopening", bugReopen, []string{"lists", "snapshot lists", "bank"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, run := range workloads {
				must := slices.Contains(c.finds, name)
				if c.bug != bugNone && !must {
					continue
				}
				var err error
				tries := uint64(3)
				if must {
					tries = 20
				}
				for try := range tries {
					if err = run(newToy(c.bug), try); err != nil {
						break
					}
				}
				if (err != nil) != must {
					t.Errorf("%s: found %v", name, err)
				} else if err != nil && testing.Verbose() {
					t.Logf("%s: %v", name, err)
				}
			}
		})
	}
}
