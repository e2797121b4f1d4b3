package workload

import (
	"fmt"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// nothing is an engine that takes no time: Execute costs what the client does.
// Get returns what was put last, which has to be the key that is read next.
type nothing struct {
	engine.Store
	last []byte
}

func (n *nothing) Put(_, value []byte) error           { n.last = append(n.last[:0], value...); return nil }
func (n *nothing) Get(dst, key []byte) ([]byte, error) { return append(dst, n.last...), nil }
func (n *nothing) NewBatch() engine.Batch              { return n }
func (n *nothing) Delete([]byte) error                 { return nil }
func (n *nothing) Commit() error                       { return nil }
func (n *nothing) Close() error                        { return nil }

// BenchmarkClient is what the client costs around an operation: Prepare and
// Verify, and Execute without an engine, which copies the value once.
func BenchmarkClient(b *testing.B) {
	for _, sizes := range []string{"100", "1KiB"} {
		for _, chooser := range []string{"uniform", "scrambled"} {
			for _, op := range []Op{Update, Read} {
				b.Run(fmt.Sprintf("%s/%s/%s", op, chooser, sizes), func(b *testing.B) { benchmarkClient(b, op, chooser, sizes, false) })
				b.Run(fmt.Sprintf("%s+execute/%s/%s", op, chooser, sizes), func(b *testing.B) { benchmarkClient(b, op, chooser, sizes, true) })
			}
		}
	}
}

func benchmarkClient(b *testing.B, op Op, chooser, sizes string, execute bool) {
	store := &nothing{}
	m := NewModel(testData(b, 100_000, sizes))
	l := m.NewLoader()
	for _, _, ok := l.Next(); ok; _, _, ok = l.Next() {
	}
	l.Done()
	w := &Workload{Name: "x", Shares: only(op), Chooser: chooser}
	s, err := w.New(Config{Store: store, Model: m, Threads: 1, Unlimited: true, Verify: true})
	if err != nil {
		b.Fatal(err)
	}
	client, err := s.Client(0)
	if err != nil {
		b.Fatal(err)
	}
	c := client.(*mixClient)
	b.ReportAllocs()
	for b.Loop() {
		c.Prepare()
		if execute {
			if _, err := c.Execute(); err != nil {
				b.Fatal(err)
			}
		}
		if op == Read {
			// What the engine would have found: the version that was sampled.
			c.value = c.m.gen.append(c.value[:0], c.at, c.before.version)
		}
		if err := c.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}

// Clients allocate nothing for an operation, whatever its kind.
func TestClientsDoNotAllocate(t *testing.T) {
	for _, op := range []Op{Update, Read, ReadMissing, ReadModify, Delete, BatchPut, MultiRead, Insert} {
		m := NewModel(testData(t, 1000, "20..300"))
		l := m.NewLoader()
		for _, _, ok := l.Next(); ok; _, _, ok = l.Next() {
		}
		l.Done()
		w := &Workload{Name: "x", Shares: only(op), Chooser: "scrambled", Batch: 10, Multi: 10}
		s, err := w.New(Config{Store: &nothing{}, Model: m, Threads: 1, Unlimited: true})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Client(0)
		if err != nil {
			t.Fatal(err)
		}
		once := func() {
			c.Prepare()
			if _, err := c.Execute(); err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(); err != nil {
				t.Fatal(err)
			}
		}
		for range 300 {
			once() // buffers grow
		}
		if n := testing.AllocsPerRun(100, once); n != 0 {
			t.Errorf("%s: %.2f allocations", op, n)
		}
	}
}
