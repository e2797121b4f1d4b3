package main

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// Data of the benchmarks: little, so that it is loaded fast and cached.
const (
	benchKeys       = 200_000
	benchValueBytes = 200
	benchBatch      = 100
)

// BenchmarkAdapters runs single operations on each engine, to look for what its
// adapter costs: go test -bench Adapters/badger/Get -cpuprofile cpu.out.
// It does not compare engines: kvbench does.
func BenchmarkAdapters(b *testing.B) {
	for _, e := range engine.All() {
		b.Run(e.Name, func(b *testing.B) { benchEngine(b, e) })
	}
}

func benchEngine(b *testing.B, e *engine.Engine) {
	o := engine.DefaultOptions()
	o.Dir, o.Keys, o.KeyBytes, o.ValueBytes = b.TempDir(), benchKeys, 16, benchValueBytes
	s, err := e.Open(o)
	check(b, err)
	defer func() { check(b, s.Close()) }()
	c := &benchClient{s: s, rnd: rand.NewPCG(1, 2), key: make([]byte, 16), value: make([]byte, benchValueBytes)}
	check(b, c.load())
	check(b, s.Settle(b.Context()))
	for _, op := range []struct {
		name string
		run  func() error
	}{{"Get", c.get}, {"Miss", c.miss}, {"Cursor", c.scan}, {"Put", c.put}, {"Batch", c.batch}} {
		b.Run(op.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				check(b, op.run())
			}
		})
	}
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

type benchClient struct {
	s                engine.Store
	rnd              *rand.PCG
	key, value, read []byte
}

// number makes the key of that number: the tests use even ones.
func (c *benchClient) number(n uint64) []byte {
	binary.BigEndian.PutUint64(c.key[8:], n)
	return c.key
}

func (c *benchClient) random() []byte { return c.number(c.rnd.Uint64() % benchKeys * 2) }

func (c *benchClient) fill() []byte {
	for i := 0; i < len(c.value)/2; i += 8 { // half of it compresses
		binary.LittleEndian.PutUint64(c.value[i:], c.rnd.Uint64())
	}
	return c.value
}

func (c *benchClient) load() error {
	b := c.s.NewBatch()
	for n := range uint64(benchKeys) {
		if err := b.Put(c.number(n*2), c.fill()); err != nil {
			return err
		}
		if n%benchBatch == benchBatch-1 {
			if err := b.Commit(); err != nil {
				return err
			}
		}
	}
	if err := b.Commit(); err != nil {
		return err
	}
	return b.Close()
}

func (c *benchClient) get() (err error) {
	c.read, err = c.s.Get(c.read[:0], c.random())
	return err
}

func (c *benchClient) miss() error {
	_, err := c.s.Get(c.read[:0], c.number(c.rnd.Uint64()%benchKeys*2+1))
	if err == engine.ErrNotFound {
		return nil
	}
	return err
}

func (c *benchClient) put() error { return c.s.Put(c.random(), c.fill()) }

func (c *benchClient) batch() error {
	b := c.s.NewBatch()
	for range benchBatch {
		if err := b.Put(c.random(), c.fill()); err != nil {
			return err
		}
	}
	if err := b.Commit(); err != nil {
		return err
	}
	return b.Close()
}

// scan reads as many entries as a batch has.
func (c *benchClient) scan() error {
	cursor, err := c.s.NewCursor(engine.CursorOptions{Entries: benchBatch})
	if err != nil {
		return err
	}
	ok := cursor.Seek(c.random())
	for n := 0; ok && n < benchBatch; n++ {
		value, err := cursor.Value()
		if err != nil {
			return err
		}
		c.read = append(c.read[:0], value...)
		ok = cursor.Next()
	}
	if err := cursor.Err(); err != nil {
		return err
	}
	return cursor.Close()
}
