package crash

import (
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// Without images, crews are fast: their order is settled, what they have read is
// compared with it, and they do come into each other's way.
func TestWritersAtOnceAgreeOnOneOrder(t *testing.T) {
	seed := testkit.Seed(t)
	crews := testkit.Amount{Short: 4, Normal: 10, CI: 40, Full: 10_000}.Budget(t)
	var commits, writes, refused, collected int
	for n := 0; crews.More(n); n++ {
		mem, clock := vfs.NewMem(), NewClock()
		crew := NewCrew(mem, seed+uint64(n), clock)
		camera := &Camera{FS: mem, Clock: clock, Witness: crew.Order, Yield: 60}
		camera.Start(seed)
		err := crew.Play(4, 12)
		camera.Stop()
		if err != nil {
			t.Fatalf("CORDWOOD_SEED=%d: %v\noptions %+v", seed+uint64(n), err, crew.Opts)
		}
		commits += crew.History.Begun()
		writes += camera.writes
		refused += int(crew.refused.Load())
		collected += int(crew.collections)
	}
	t.Logf("%d commits in %d writes of the log, %d refused, %d collections", commits, writes, refused, collected)
	if commits > 1500 && (refused == 0 || writes >= commits) {
		t.Error("the writers did not meet")
	}
}
