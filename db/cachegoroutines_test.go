package db

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// A cache that holds much has goroutines of its own, which end with the store.
func TestCloseEndsTheGoroutinesOfALargeCache(t *testing.T) {
	// Those of the caches of earlier tests may be about to end.
	earlier := cacheGoroutines()
	ours := func() (n int) {
		for id := range cacheGoroutines() {
			if !earlier[id] {
				n++
			}
		}
		return n
	}
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
	if ours() == 0 {
		t.Fatal("the cache is too small for the test")
	}
	closeDB(t, store)
	testkit.Until(t, func() bool { return ours() == 0 }, func() string { return fmt.Sprintf("%d goroutines of the cache are left", ours()) })
}

// cacheGoroutines are the names, such as "goroutine 7", of the goroutines that
// caches have started.
func cacheGoroutines() map[string]bool {
	buf := make([]byte, 16<<20)
	names := make(map[string]bool)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "created by github.com/dgraph-io/ristretto") {
			name, _, _ := strings.Cut(g, " [")
			names[name] = true
		}
	}
	return names
}
