package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// registerMore registers more engines that misbehave, and two that tape what they
// are asked: one with all abilities of memory, and one with none.
func registerMore(memory *engine.Engine) {
	full := func(int) error { return &fs.PathError{Op: "write", Path: "wal", Err: syscall.ENOSPC} }
	engine.Register(spoiled(memory, "full", full))
	engine.Register(spoiled(memory, "slow", func(int) error { time.Sleep(time.Millisecond); return nil }))
	engine.Register(spoiled(memory, "hangs", func(int) error { select {} }))
	engine.Register(spoiled(memory, "floods", func(int) error {
		for range 2000 {
			fmt.Fprintf(os.Stderr, "%s\n", bytes.Repeat([]byte("noise "), 1000))
		}
		fmt.Fprintln(os.Stderr, "the end of it")
		os.Exit(3)
		return nil
	}))
	engine.Register(wrapped(memory, "prints", 0, func(s engine.Store) engine.Store {
		fmt.Println("Welcome to the engine that prints!")
		return struct{ engine.Store }{s}
	}))
	engine.Register(wrapped(memory, "unclosable", 0, func(s engine.Store) engine.Store { return unclosable{s} }))
	engine.Register(wrapped(memory, "unsettled", 0, func(s engine.Store) engine.Store { return unsettled{s} }))
	engine.Register(wrapped(memory, "taped", memory.Abilities, func(s engine.Store) engine.Store { return newTaped(s) }))
	engine.Register(wrapped(memory, "poor", 0, func(s engine.Store) engine.Store {
		t := newTaped(s)
		return struct {
			engine.Store
			engine.Counter
		}{t, t}
	}))
	unopened := *memory
	unopened.Name = "unopened"
	unopened.Open = func(engine.Options) (engine.Store, error) { return nil, errors.New("the disk is gone") }
	engine.Register(&unopened)
}

// wrapped is an engine whose stores wrap makes of those of e.
func wrapped(e *engine.Engine, name string, abilities engine.Ability, wrap func(engine.Store) engine.Store) *engine.Engine {
	s := *e
	s.Name, s.Title, s.Abilities = name, "An engine that is "+name, abilities
	s.Open = func(o engine.Options) (engine.Store, error) {
		store, err := e.Open(o)
		if err != nil {
			return nil, err
		}
		tape.Lock()
		tape.synced = o.Sync
		tape.Unlock()
		return wrap(store), nil
	}
	return &s
}

type unclosable struct{ engine.Store }

func (u unclosable) Close() error {
	return errors.Join(u.Store.Close(), errors.New("the last flush has failed"))
}

// unsettled settles never, but when it is told to stop.
type unsettled struct{ engine.Store }

func (unsettled) Settle(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// tape is what the stores of this process were asked since it was last read.
var tape struct {
	sync.Mutex
	keys    uint32
	calls   float64
	batched float64 // most writes of a batch
	settled float64 // ever
	synced  bool
}

// taped tapes the keys of what one client asks, in their order.
type taped struct {
	engine.Store
	engine.Merger
	engine.Expirer
	engine.Transactor
	engine.Collector
	engine.BulkLoader
}

func newTaped(s engine.Store) *taped {
	return &taped{s, s.(engine.Merger), s.(engine.Expirer), s.(engine.Transactor), s.(engine.Collector), s.(engine.BulkLoader)}
}

func note(operation string, key []byte) {
	tape.Lock()
	defer tape.Unlock()
	h := fnv.New32a()
	fmt.Fprintf(h, "%d %s %s", tape.keys, operation, key)
	tape.keys = h.Sum32()
	tape.calls++
}

// Counters tells the tape, and begins a new one.
func (t *taped) Counters() map[string]float64 {
	tape.Lock()
	defer tape.Unlock()
	c := map[string]float64{"keys_now": float64(tape.keys), "calls_now": tape.calls, "batched_now": tape.batched,
		"settled_now": tape.settled, "sync_now": 0}
	if tape.synced {
		c["sync_now"] = 1
	}
	tape.keys, tape.calls, tape.batched = 0, 0, 0
	return c
}

func (t *taped) Get(dst, key []byte) ([]byte, error) {
	note("get", key)
	return t.Store.Get(dst, key)
}

func (t *taped) Put(key, value []byte) error {
	note("put", key)
	return t.Store.Put(key, value)
}

func (t *taped) Delete(key []byte) error {
	note("delete", key)
	return t.Store.Delete(key)
}

func (t *taped) Settle(ctx context.Context) error {
	tape.Lock()
	tape.settled++
	tape.Unlock()
	return t.Store.Settle(ctx)
}

func (t *taped) NewBatch() engine.Batch { return &tapedBatch{Batch: t.Store.NewBatch()} }

type tapedBatch struct {
	engine.Batch
	writes float64
}

func (b *tapedBatch) Put(key, value []byte) error {
	note("batch", key)
	b.writes++
	tape.Lock()
	tape.batched = max(tape.batched, b.writes)
	tape.Unlock()
	return b.Batch.Put(key, value)
}

func (b *tapedBatch) Commit() error {
	b.writes = 0
	return b.Batch.Commit()
}

func (t *taped) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	c, err := t.Store.NewCursor(o)
	note("cursor", append(bytes.Clone(o.Lower), o.Upper...))
	return tapedCursor{c}, err
}

type tapedCursor struct{ engine.Cursor }

func (c tapedCursor) Seek(key []byte) bool {
	note("seek", key)
	return c.Cursor.Seek(key)
}
