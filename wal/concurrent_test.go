package wal

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestSyncsAndMarksRunBesideAppends has one appender that rotates, two that
// sync and mark, and one that retires. Power is lost several times meanwhile:
// what a Sync had covered must be there.
func TestSyncsAndMarksRunBesideAppends(t *testing.T) {
	m := newMem(t)
	l, err := Create(testOptions(m), 1, 0)
	must(t, err)
	const records = 300
	var ends [records]atomic.Uint64 // LSN behind each record, 0 until appended
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				lsn, err := l.Sync()
				if err != nil {
					t.Error(err)
					return
				}
				l.MarkSynced(lsn)
				if mark := l.SyncedLSN(); mark < lsn || mark > l.EndLSN() {
					t.Errorf("mark %d after syncing to %d", mark, lsn)
				}
			}
		})
	}
	wg.Go(func() {
		for !done.Load() {
			l.Retire(1) // nothing is that old
			durable := l.DurableLSN()
			r, err := replayDir(m.CrashClone(nil), testDir, 0)
			if err != nil {
				t.Error(err)
				return
			}
			if n := len(r.records); n < records && ends[n].Load() != 0 && ends[n].Load() <= durable {
				t.Errorf("%d records; the next one ended at %d, synced to %d", n, ends[n].Load(), durable)
			}
		}
	})
	for i := range records {
		end, err := l.Append(payload(i, i%50))
		must(t, err)
		ends[i].Store(end)
		if i%40 == 39 {
			must(t, l.Rotate(l.Segment()+1))
		}
	}
	done.Store(true)
	wg.Wait()
	mustSync(t, l)
	must(t, l.WriteProof())
	must(t, l.Close())
	if r := mustReplay(t, m, 0); len(r.records) != records || r.proven != records || r.Cut != nil || m.OpenHandles() != 0 {
		t.Fatalf("%d records, %d proven, %+v, %d handles", len(r.records), r.proven, r.Cut, m.OpenHandles())
	}
}
