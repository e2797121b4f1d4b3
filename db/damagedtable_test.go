package db

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// damageTable changes a byte of the first block of the oldest table.
func damageTable(t *testing.T, mem *vfs.Mem) string {
	t.Helper()
	files, err := mem.List("/db")
	must(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".sst") {
			continue
		}
		file, err := mem.OpenReadWrite(filepath.Join("/db", f.Name))
		must(t, err)
		b := make([]byte, 1)
		_, err = file.ReadAt(b, 20)
		must(t, err)
		b[0] ^= 1
		_, err = file.WriteAt(b, 20)
		must(t, err, file.Close())
		return f.Name
	}
	t.Fatal("no table")
	return ""
}

// A table that a compaction found to be damaged is left alone from then on: it
// is told once, and the store does not meet with it again and again.
func TestCompactionMeetsADamagedTableOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		opts := smallOptions()
		opts.CompactionsMax = 1
		told, failed := 0, 0
		bad := ""
		opts.Events = func(e Event) {
			switch e := e.(type) {
			case Damage:
				told++
				if e.File != bad {
					t.Errorf("damage in %s, not in %s: %v", e.File, bad, e.Err)
				}
			case JobFailed:
				failed++
			}
		}
		store := openMem(t, mem, opts)
		fill := func(round int) {
			for i := range 50 {
				must(t, store.Put(fmt.Appendf(nil, "key%02d", i), fmt.Appendf(nil, "%d in round %d", i, round)))
			}
			must(t, store.Flush(t.Context()))
		}
		fill(0)
		bad = damageTable(t, mem)
		for round := range 20 {
			fill(round + 1)
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		var damage *CorruptionError
		if err := store.Compact(t.Context(), All()); err != nil && !errors.As(err, &damage) {
			t.Error(err)
		}
		must(t, store.Close())
		if told != 1 || failed > 1 {
			t.Errorf("told %d times, %d compactions failed", told, failed)
		}
	})
}
