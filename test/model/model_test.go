package model

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestStoreAgreesWithModelUnderRandomOperations is the whole of this package.
func TestStoreAgreesWithModelUnderRandomOperations(t *testing.T) {
	total, each := 60_000, 4_000
	if testing.Short() {
		total = 12_000
	}
	if os.Getenv("CORDWOOD_CI") != "" {
		total = 1_200_000
	}
	if n, err := strconv.Atoi(os.Getenv("CORDWOOD_OPS")); err == nil {
		total, each = n, n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("CORDWOOD_SEED"), 10, 64); err == nil {
		seed, total = n, each
	}
	for done := 0; done < total; done += each {
		history(t, seed, each)
		if t.Failed() {
			return
		}
		seed++
	}
}

// history runs one history to its end.
func history(t *testing.T, seed uint64, ops int) {
	r, err := newRun(seed)
	for i := 0; err == nil && i < ops; i++ {
		err = r.step()
	}
	if err == nil {
		err = r.shut()
	}
	if err != nil {
		t.Errorf("seed %d (CORDWOOD_SEED=%d repeats it): %v\noptions: %+v\nlast operations:\n%s",
			seed, seed, err, r.opts, strings.Join(r.trace, "\n"))
		if r.store != nil {
			_ = r.store.Close()
		}
	}
}
