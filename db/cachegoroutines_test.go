package db

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// A cache that holds much has goroutines of its own, which end with the store.
func TestCloseEndsTheGoroutinesOfALargeCache(t *testing.T) {
	inCache := func() int {
		buf := make([]byte, 16<<20)
		return bytes.Count(buf[:runtime.Stack(buf, true)], []byte("created by github.com/dgraph-io/ristretto"))
	}
	before := inCache()
	opts := smallOptions()
	opts.MemoryMax = 64 << 20
	store := openMem(t, vfs.NewMem(), opts)
	const n = 4000
	for i := range n {
		must(t, store.Put(fmt.Appendf(nil, "%05d", i), bytes.Repeat([]byte{byte(i)}, 250)))
	}
	must(t, store.Flush(t.Context()))
	for i := range n {
		_, err := store.Get(fmt.Appendf(nil, "%05d", i))
		must(t, err)
	}
	if inCache() == before {
		t.Fatal("the cache is too small for the test")
	}
	closeDB(t, store)
	for deadline := time.Now().Add(time.Minute); inCache() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines of caches, %d before", inCache(), before)
		}
	}
}
