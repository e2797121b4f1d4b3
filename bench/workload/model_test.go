package workload

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
)

// A phase that ends by time leaves an operation that was prepared, and never
// executed: its keys are written again later, and nothing is expected of it.
func TestAnOperationThatNeverBeganLeavesNothing(t *testing.T) {
	for _, op := range []Op{Update, Delete, BatchPut, ReadModify, PutTTL, MergeOperand, Insert} {
		t.Run(string(op), func(t *testing.T) {
			m, store := NewModel(testData(t, 3, "20..300")), newMemory(t)
			if err := load(store, m, own("readseq"), 1); err != nil {
				t.Fatal(err)
			}
			w := &Workload{Name: "x", Shares: only(op), Batch: 3}
			s, err := w.New(Config{Store: store, Model: m, Threads: 1, Unlimited: true, Verify: true})
			if err != nil {
				t.Fatal(err)
			}
			c, err := s.Client(0)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, more := c.Prepare(); !more {
				t.Fatal("no operation")
			}
			if err := errors.Join(c.Close(), s.Finish(true)); err != nil {
				t.Fatal(err)
			}
			checkLive(t, store, m)
			for i := range m.words {
				if a, b := m.words[i].acknowledged.Load(), m.words[i].issued.Load(); a != b {
					t.Errorf("key %d is held: %d acknowledged, %d issued", i, a, b)
				}
				if d := m.words[i].deleted.Load(); d > 0 {
					t.Errorf("key %d: version %d deletes it", i, d)
				}
			}
			for _, name := range []string{"readrandom", "readseq", "overwrite", "readseq", "deleterandom", "readreverse"} {
				if _, _, err := runWorkload(own(name), Config{Store: store, Model: m, Threads: 2, Operations: 100}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// Several writers hammer a few keys, more of them than keys in all batches: none
// waits for ever, and what they wrote is right.
func TestWritersOfFewKeysDoNotBlockEachOther(t *testing.T) {
	m, store := NewModel(testData(t, 5, "20..300")), newMemory(t)
	w := &Workload{Name: "x", Loaded: true, Load: "fillrandom", Shares: []Share{{BatchPut, 1}, {Update, 1}, {Delete, 1}, {Read, 1}, {MultiRead, 1}}, Batch: 5, Multi: 5}
	if err := load(store, m, w, 2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runWorkload(w, Config{Store: store, Model: m, Threads: 6, Operations: 3000}); err != nil {
		t.Fatal(err)
	}
	checkLive(t, store, m)
}

func TestInsertsEndWhenThereIsNoRoom(t *testing.T) {
	d := testData(t, 100, "20..300")
	d.Capacity = 130
	m, store := NewModel(d), newMemory(t)
	w := &Workload{Name: "x", Loaded: true, Load: "ycsb-load", Shares: only(Insert)}
	if err := load(store, m, w, 2); err != nil {
		t.Fatal(err)
	}
	_, counts, err := runWorkload(w, Config{Store: store, Model: m, Threads: 3, Operations: 1000})
	if err != nil || counts["insert"] != 30 || m.Records() != 130 {
		t.Errorf("%v, %v, %d records", counts, err, m.Records())
	}
	checkLive(t, store, m)
}

// The choosers' distribution holds with several writers that do not meet: none is
// tied to some of the keys.
func TestWritersKeepTheDistribution(t *testing.T) {
	m, store := NewModel(testData(t, 50, "16")), newMemory(t)
	w := &Workload{Name: "x", Loaded: true, Load: "fillrandom", Shares: only(Update), Chooser: "zipfian"}
	if err := load(store, m, w, 1); err != nil {
		t.Fatal(err)
	}
	const operations, threads = 40_000, 4
	s, err := w.New(Config{Store: store, Model: m, Threads: threads, Unlimited: true, Verify: true})
	if err != nil {
		t.Fatal(err)
	}
	var clients [threads]Client
	for i := range clients {
		if clients[i], err = s.Client(i); err != nil {
			t.Fatal(err)
		}
	}
	for n := range operations {
		c := clients[n%threads]
		c.Prepare()
		if _, err := c.Execute(); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(); err != nil {
			t.Fatal(err)
		}
	}
	counts, expected := make([]int, m.data.Keys), make([]float64, m.data.Keys)
	for i := range counts {
		counts[i] = int(m.words[i].acknowledged.Load()) - 1
		expected[i] = grayChance(uint64(i), uint64(len(counts)), 0.99) * operations
	}
	if z := deviation(counts, expected); z > 4.5 {
		t.Errorf("%.1f deviations off", z)
	}
}

func TestMixesHaveTheirShares(t *testing.T) {
	for _, name := range []string{"ycsb-a", "ycsb-b", "ycsb-c", "ycsb-d", "ycsb-e", "ycsb-f", "mixgraph"} {
		w := own(name)
		m, store := NewModel(testData(t, 300, "20..300")), newMemory(t)
		if err := load(store, m, w, 1); err != nil {
			t.Fatal(err)
		}
		const operations = 4000
		_, counts, err := runWorkload(w, Config{Store: store, Model: m, Threads: 2, Operations: operations})
		if err != nil {
			t.Fatal(err)
		}
		sum, done := 0.0, 0
		for _, s := range w.Shares {
			sum += s.Weight
			done += counts[string(s.Op)]
		}
		for _, s := range w.Shares {
			want := s.Weight / sum
			if got := float64(counts[string(s.Op)]) / float64(done); got < want-0.03 || got > want+0.03 {
				t.Errorf("%s: %.3f of the operations are %s, want %.3f", name, got, s.Op, want)
			}
		}
	}
}

func TestFillsWriteEveryKeyOnce(t *testing.T) {
	for _, name := range []string{"fillseq", "fillrandom", "fillbatch", "ycsb-load"} {
		for _, threads := range []int{1, 3} {
			d := testData(t, 1037, "20..300")
			d.Capacity = 2000
			m, store := NewModel(d), newMemory(t)
			out, _, err := runWorkload(own(name), Config{Store: store, Model: m, Threads: threads, BatchSize: 100})
			if err != nil || out.Items != 1037 {
				t.Errorf("%s: %d written, %v", name, out.Items, err)
			}
			if count, size := m.Live(); count != 1037 || size != uint64(out.Written) || m.Records() != 1037 {
				t.Errorf("%s: %d keys of %d bytes, %d records; %d bytes were written", name, count, size, m.Records(), out.Written)
			}
			if m.hashed.Load() != (name == "ycsb-load") {
				t.Errorf("%s: hashed %v", name, m.hashed.Load())
			}
			for _, next := range []string{"ycsb-a", "readrandom"} {
				if w := own(next); w.Ready(m) != (m.hashed.Load() == (w.Load == "ycsb-load")) {
					t.Errorf("%s is ready after %s: %v", next, name, w.Ready(m))
				}
			}
			m.Forget()
			if count, size := m.Live(); count != 0 || size != 0 || m.Records() != 0 || own("readrandom").Ready(m) {
				t.Errorf("%s: %d keys of %d bytes after forgetting", name, count, size)
			}
		}
	}
}

func TestPacedClientsKeepTheirTimetable(t *testing.T) {
	m, store := NewModel(testData(t, 300, "20..300")), newMemory(t)
	w := own("readwhilewriting")
	if err := load(store, m, w, 1); err != nil {
		t.Fatal(err)
	}
	s, err := w.New(Config{Store: store, Model: m, Threads: 2, WriteRate: 500})
	if err != nil {
		t.Fatal(err)
	}
	b, ok := s.(BesideSource)
	if !ok || b.Beside() != 1 || fmt.Sprint(s.Kinds()) != fmt.Sprint([]Kind{{"read", result.Read}, {"update", result.Write}}) || s.Total() != 300 {
		t.Fatalf("%v, %v, %d", ok, s.Kinds(), s.Total())
	}
	c, err := s.Client(2)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2000 {
		kind, due, more := c.Prepare()
		if kind != 1 || !more || (due-time.Duration(n)*2*time.Millisecond).Abs() > time.Microsecond {
			t.Fatalf("operation %d: kind %d, due after %v, %v", n, kind, due, more)
		}
		if _, err := c.Execute(); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Client(3); err == nil {
		t.Error("there is a fourth client")
	}
	if c, _ := s.Client(0); c != nil {
		if _, due, _ := c.Prepare(); due >= 0 {
			t.Errorf("a reader has a timetable: %v", due)
		}
	}
}

// plain is a store without any ability.
type plain struct{ engine.Store }

func TestWhatCannotBeIsRefused(t *testing.T) {
	m, store := NewModel(testData(t, 300, "20..300")), plain{newMemory(t)}
	config := Config{Store: store, Model: m, Threads: 1}
	for _, name := range []string{"mergerandom", "ttlchurn", "bank", "rmwcontended"} {
		if _, err := own(name).New(config); err == nil {
			t.Errorf("%s was made for a store that cannot do it", name)
		} else if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"readrandom", "readseq", "ycsb-a"} {
		if _, err := own(name).New(config); !errors.Is(err, ErrNotLoaded) {
			t.Errorf("%s on an empty store: %v", name, err)
		}
	}
	config.Threads = 0
	if _, err := own("fillseq").New(config); err == nil {
		t.Error("made for no threads")
	}
	// A collector beside is left out where there is none; everything else works.
	config.Threads = 1
	if err := load(store, m, own("vlogchurn"), 1); err != nil {
		t.Fatal(err)
	}
	s, err := own("vlogchurn").New(config)
	if err != nil || s.(BesideSource).Beside() != 0 {
		t.Errorf("%v, %v", s, err)
	}
	if _, _, err := runWorkload(own("multireadrandom"), config); err != nil {
		t.Error(err)
	}
}

func TestMergesDoNotMeetTimesToLive(t *testing.T) {
	m, store := NewModel(testData(t, 50, "20..300")), newMemory(t)
	config := Config{Store: store, Model: m, Threads: 1}
	if _, _, err := runWorkload(own("ttlchurn"), config); err != nil {
		t.Fatal(err)
	}
	m.advance()
	if _, err := own("mergerandom").New(config); !errors.Is(err, ErrNotLoaded) {
		t.Errorf("%v", err)
	}
	if own("readrandom").Ready(m) {
		t.Error("ready on data that is about to go")
	}
}

// The words of a key are sampled, checked and written by several goroutines.
func TestAModelIsReadBesideWriters(t *testing.T) {
	m := NewModel(testData(t, 4, "20..300"))
	m.prepareMerges()
	m.prepareExpiry()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := newRandom(uint64(g))
			for range 2000 {
				i := r.below(4)
				b := m.sample(i)
				if w, ok := m.claim(i, writeKind(r.below(3))); ok {
					if w.version <= b.version {
						t.Errorf("version %d is claimed after %d was acknowledged", w.version, b.version)
					}
					if r.below(10) == 0 {
						m.release(w)
					} else {
						m.acknowledge(w)
					}
				}
				m.nextLive(0, 1)
			}
		})
	}
	wg.Wait()
}

func TestTheCatalogIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range All() {
		if seen[w.Name] || w.Summary == "" || w.Operations == (Amount{}) {
			t.Errorf("%+v", w)
		}
		seen[w.Name] = true
		if err := w.check(); err != nil {
			t.Error(err)
		}
		found := false
		for _, g := range groups {
			found = found || g == w.Group
		}
		if load, ok := Find(w.Load); !found || w.Loaded != (w.Load != "") || ok && !load.Fresh || w.Loaded && !ok {
			t.Errorf("%s: group %q, loaded by %q", w.Name, w.Group, w.Load)
		}
	}
	names := ""
	for _, w := range Standard() {
		names += w.Name + " "
	}
	if names != "fillseq fillrandom overwrite readrandom readmissing readseq readreverse seekrandom readwhilewriting " {
		t.Error(names)
	}
	if _, ok := Find("nothing"); ok {
		t.Error("found nothing")
	}
}
