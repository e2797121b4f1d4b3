package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// TestCloseWaitsForACompactionThatWasCalledFor: a manual compaction whose edit
// is just being written when the store is closed must not take back tables that
// the MANIFEST names by then.
func TestCloseWaitsForACompactionThatWasCalledFor(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, Options{})
	for i := range 3 {
		for k := range 100 {
			if err := store.Put(fmt.Appendf(nil, "key%03d", k), fmt.Appendf(nil, "%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	held, let := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	fs.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.Contains(op.Path, "MANIFEST") && once.CompareAndSwap(false, true) {
			close(held)
			<-let
		}
		return nil
	})
	compacted, closed := make(chan error, 1), make(chan error, 1)
	go func() { compacted <- store.Compact(context.Background(), All()) }()
	<-held
	go func() { closed <- store.Close() }()
	waits := 0 // looks at Close in a row that saw it wait: it does so for its workers, too, for a moment
	testkit.Until(t, func() bool {
		if waits++; !testkit.Blocked("db.(*DB).close(", "sync.(*WaitGroup).Wait") {
			waits = 0
		}
		return store.state.Load() == nil || waits == 100
	}, func() string { return "Close neither waits nor ends" })
	close(let)
	if err := <-compacted; err != nil && !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	fs.SetHook(nil)
	store = openMem(t, fs, Options{})
	defer closeDB(t, store)
	if got, err := store.Get([]byte("key007")); err != nil || string(got) != "2" {
		t.Fatalf("%q, %v", got, err)
	}
}
