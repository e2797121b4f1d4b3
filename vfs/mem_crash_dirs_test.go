package vfs

import (
	"errors"
	"testing"
)

func TestSyncingARemovalKeepsTheFilesOtherName(t *testing.T) {
	m := newDB(t)
	must(t, m.MkdirAll("/db/sub"))
	must(t, m.SyncDir("/db"))
	f := put(t, m, "/db/sub/f", "x")
	must(t, f.Sync())
	must(t, m.SyncDir("/db/sub"))
	must(t, m.Link("/db/sub/f", "/db/g"))
	must(t, m.Remove("/db/sub/f"))
	must(t, m.SyncDir("/db/sub"))
	wantImages(t, m, "g=[x*1] sub/")
}

func TestCrashMovesNothingIntoALostDirectory(t *testing.T) {
	m := newDB(t)
	putDurable(t, m, "/db/f", "x")
	must(t, m.MkdirAll("/db/sub"))
	must(t, m.Rename("/db/f", "/db/sub/f"))
	wantImages(t, m, "f=[x*1]", "f=[x*1] sub/", "sub/")
	must(t, m.SyncDir("/db/sub")) // with the other half, and with sub itself
	wantImages(t, m, "sub/")
	if _, err := m.CrashClone(nil).Stat("/db/sub/f"); err != nil {
		t.Error(err)
	}
}

func TestCrashLeavesZerosWhereADurableShrinkingCut(t *testing.T) {
	m := newDB(t)
	f := putDurable(t, m, "/db/f", rep("a", 600))
	write(t, f, rep("b", 88), 512)
	must(t, f.Truncate(550))
	must(t, f.Truncate(600))
	img := m.CrashClone(func(c CrashItem) CrashChoice {
		if c.Index < 0 {
			return CrashKeep // shrinking and size, not the sector
		}
		return CrashDrop
	})
	if got := dump(t, img); got != "f=[a*550 0*50]" {
		t.Error(got)
	}
}

// A link does not depend on the name that it was made from: with everything kept
// it is there, also if the file has been moved since and that is durable.
func TestCrashKeepsALinkWhoseSourceMovedOn(t *testing.T) {
	m := NewMem()
	must(t, errors.Join(m.MkdirAll("/a"), m.MkdirAll("/b"), m.SyncDir("/")))
	f, err := m.Create("/a/old")
	must(t, err)
	must(t, errors.Join(f.Sync(), f.Close(), m.SyncDir("/a")))
	must(t, errors.Join(m.Link("/a/old", "/b/link"), m.Rename("/a/old", "/a/new"), m.SyncDir("/a")))
	for name, pick := range map[string]CrashChoice{"keep": CrashKeep, "drop": CrashDrop} {
		_, err := m.CrashClone(func(CrashItem) CrashChoice { return pick }).Stat("/b/link")
		if (err == nil) != (pick == CrashKeep) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
