package measure

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestProbeKnowsTheMachine(t *testing.T) {
	dir := t.TempDir()
	m, err := Probe(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.OS != runtime.GOOS || m.Arch != runtime.GOARCH || m.GoVersion == "" || m.Processors < 1 || m.Dir != dir {
		t.Errorf("%+v", m)
	}
	if m.FsyncP50NS <= 0 || m.FsyncP99NS < m.FsyncP50NS {
		t.Errorf("%+v", m)
	}
	if m.OS == "linux" && (m.Kernel == "" || m.MemoryBytes < 1<<20 || m.FileSystem == "" || m.Device == "" || m.FreeBytes <= 0) {
		t.Errorf("%+v", m)
	}
	isEmpty(t, dir)
}

func TestAProbeThatFailsTellsTheRest(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, err := Probe(ctx, dir)
	if !errors.Is(err, context.Canceled) || m.OS == "" || m.Dir != dir || m.FsyncP50NS != 0 {
		t.Errorf("cancelled: %v, %+v", err, m)
	}
	isEmpty(t, dir)
	missing := filepath.Join(dir, "missing")
	if m, err := Probe(t.Context(), missing); !errors.Is(err, fs.ErrNotExist) || m.OS == "" {
		t.Errorf("missing: %v, %+v", err, m)
	}
	if _, err := Probe(t.Context(), write(t, nil, dir, "file")); err == nil {
		t.Error("a file passes for a folder")
	}
}

func isEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

func TestSyncTimesAreSortedAndBounded(t *testing.T) {
	times, err := syncTimes(t.Context(), t.TempDir())
	if err != nil || len(times) < 1 || len(times) > syncCount || !slices.IsSorted(times) || times[0] <= 0 {
		t.Errorf("%v, %v", times, err)
	}
}

func TestRank(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(i+1))
		n := len(times)
		// By the definition: the first that at least percent of all do not exceed.
		for _, percent := range []int{50, 99} {
			want := slices.IndexFunc(times, func(d time.Duration) bool { return int(d)*100 >= n*percent })
			if got := rank(times, percent); got != times[want] {
				t.Fatalf("p%d of 1 to %d is %d, want %d", percent, n, got, times[want])
			}
		}
	}
}

func TestSpeedDoesTheSameWorkEachTime(t *testing.T) {
	for range 2 {
		took, sum := speed()
		if took <= 0 || sum != 9974567955479153108 {
			t.Errorf("%v, sum %d: the work has changed", took, sum)
		}
	}
	if Speed() <= 0 || speedSum.Load() == 0 {
		t.Error("no work was done")
	}
}

func TestSpeedVisitsAllItsMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("two million cache misses, slow under the race detector")
	}
	w := newSpeedWork(make([]uint32, speedWords))
	seen := make([]bool, speedWords)
	at := uint32(0)
	for n := range speedWords {
		if seen[at] {
			t.Fatalf("back at %d after %d steps", at, n)
		}
		seen[at] = true
		at = w.words[at]
	}
}

func BenchmarkSpeed(b *testing.B) {
	for b.Loop() {
		Speed()
	}
}
