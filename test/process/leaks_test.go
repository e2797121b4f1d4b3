package process

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// resources are what a process holds.
type resources struct {
	goroutines int
	open       int      // descriptors, 0 where the system does not tell
	below      []string // descriptors and memory maps of files below a directory
}

func held(dir string) resources {
	r := resources{goroutines: runtime.NumGoroutine()}
	const descriptors = "/proc/self/fd"
	entries, err := os.ReadDir(descriptors)
	if err != nil {
		return r
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(descriptors, e.Name()))
		if err != nil {
			continue // that of ReadDir
		}
		r.open++
		if strings.HasPrefix(to, dir) {
			r.below = append(r.below, "descriptor of "+to)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return r
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, dir) {
			r.below = append(r.below, "map "+line)
		}
	}
	return r
}

// leftBehind waits until no more is held than before. What still is, is the
// error.
func leftBehind(dir string, before resources) error {
	var now resources
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		// A goroutine that has nothing more to do may still have to end.
		if now = held(dir); now.goroutines <= before.goroutines || time.Now().After(deadline) {
			break
		}
	}
	var errs []error
	if now.goroutines > before.goroutines {
		stacks := make([]byte, 1<<20)
		errs = append(errs, fmt.Errorf("%d goroutines, there were %d:\n%s", now.goroutines, before.goroutines,
			stacks[:runtime.Stack(stacks, true)]))
	}
	if len(now.below) > 0 || now.open > before.open {
		errs = append(errs, fmt.Errorf("%d descriptors, there were %d; %q", now.open, before.open, now.below))
	}
	return errors.Join(errs...)
}

// heapMax is by how much the heap may have grown when everything is closed: what
// pools of the library and of the runtime keep.
const heapMax = 8 << 20

func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // pools live for two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOpenAndCloseLeaveNothingBehind opens stores in every state there is, uses
// them, leaves things open, and closes them, if they did open: then nothing of
// them is left in the process.
func TestOpenAndCloseLeaveNothingBehind(t *testing.T) {
	budget := testkit.Amount{Short: 40, Normal: 80, CI: 500, Full: 10_000}.Budget(t)
	seed := testkit.Seed(t)
	cycles, refused := 0, 0
	defer func() {
		testkit.Count(t, "open and close cycles", cycles)
		t.Logf("%d of them refused to open", refused)
	}()
	var o openings
	o.prepare(t)
	var heap int64
	for ; budget.More(cycles); cycles++ {
		s := seed + uint64(cycles)
		r := rand.New(rand.NewPCG(s, 0))
		kind := openingKinds[int(s)%len(openingKinds)]
		before := held(o.root)
		opened, err := kind.run(&o, r)
		if err == nil {
			err = leftBehind(o.root, before)
		}
		if err != nil {
			t.Fatalf("%s=%d: %s: %v", testkit.SeedEnv, s, kind.name, err)
		}
		if !opened {
			refused++
		}
		if cycles == 2*len(openingKinds) {
			heap = heapBytes()
		}
	}
	if grown := heapBytes() - heap; heap > 0 && grown > heapMax {
		t.Errorf("the heap has grown by %d bytes in %d cycles", grown, cycles)
	}
	if refused == 0 || refused == cycles {
		t.Errorf("%d of %d refused to open", refused, cycles)
	}
}

func TestLeftBehindSeesDescriptorsAndGoroutines(t *testing.T) {
	dir := t.TempDir()
	before := held(dir)
	if before.open == 0 {
		t.Skip("the system does not tell what is open")
	}
	if err := leftBehind(dir, before); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := leftBehind(dir, before); err == nil || !bytes.Contains([]byte(err.Error()), []byte(f.Name())) {
		t.Errorf("a file is open: %v", err)
	}
}
