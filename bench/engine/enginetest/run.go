package enginetest

import (
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// Run checks that an engine does what package engine asks for. It opens stores
// with little memory in folders of the test.
func Run(t *testing.T, e *engine.Engine) {
	t.Run("description", func(t *testing.T) { description(t, e) })
	for _, check := range []struct {
		name string
		run  func(*tested)
	}{
		{"abilities", abilities},
		{"points", points},
		{"values", values},
		{"ownership", ownership},
		{"batches", batches},
		{"batch of much", largeBatch},
		{"cursors", cursors},
		{"cursors beside writes", snapshots},
		{"reopen", reopening},
		{"death of the process", death},
		{"settle", settling},
		{"goroutines", goroutines},
		{"random operations", random},
		{"merge", merging},
		{"TTL", expiry},
		{"transactions", transactions},
		{"transactions beside each other", contention},
		{"transactions that only read", views},
		{"value log", collecting},
		{"MultiGet", multiGets},
		{"BulkLoad", bulkLoading},
		{"Busy and Counters", figures},
	} {
		t.Run(check.name, func(t *testing.T) { check.run(open(t, e, options())) })
	}
	for name, change := range variants {
		o := options()
		change(&o)
		t.Run("with "+name, func(t *testing.T) { variant(open(t, e, o)) })
	}
}

// options are those of the suite's stores: little memory, so that tables and
// compactions come about.
func options() engine.Options {
	return engine.Options{MemtableBytes: 1 << 20, MemtablesMax: 4, CacheBytes: 8 << 20, FilterBits: 10,
		Compression: engine.CompressionDefault, Threads: 2, Keys: 10_000, KeyBytes: 16, ValueBytes: 100}
}

// variants are other options that an engine has to cope with.
var variants = map[string]func(*engine.Options){
	"sync":           func(o *engine.Options) { o.Sync = true },
	"no compression": func(o *engine.Options) { o.Compression = engine.CompressionNone },
	"no filters":     func(o *engine.Options) { o.FilterBits = 0 },
	"large filters":  func(o *engine.Options) { o.FilterBits = 20 },
	"one thread":     func(o *engine.Options) { o.Threads = 1 },
	"two memtables":  func(o *engine.Options) { o.MemtablesMax = 2 },
	"little cache":   func(o *engine.Options) { o.CacheBytes = 256 << 10 },
	"no hints":       func(o *engine.Options) { o.Threads, o.Keys, o.KeyBytes, o.ValueBytes = 0, 0, 0, 0 },
}

// variant writes and reads a little of everything.
func variant(s *tested) {
	points(s)
	m := newModel()
	for i := range 400 {
		m.put(s, numbered("v", i), text(i, 1000))
	}
	m.compare(s)
	s.check(s.Settle(s.t.Context()))
	m.compare(s)
	s.close()
	s.reopen()
	m.compare(s)
}
