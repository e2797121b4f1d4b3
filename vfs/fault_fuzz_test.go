package vfs

import (
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// FuzzFaultScript: a script is refused, or decides about any operation.
func FuzzFaultScript(f *testing.F) {
	f.Add("write *.wal 3rd ENOSPC sticky")
	f.Add("create,rename CURRENT* EIO short # x\nany * every delay=1ms")
	f.Add("sync * 2nd-4th EIO")
	f.Fuzz(func(t *testing.T, script string) {
		testkit.Bounded(t, len(script), func() {
			decide, err := ParseFaults(script)
			if err != nil {
				return
			}
			for _, kind := range []OpKind{OpWrite, OpCreate, OpRename, OpSync} {
				if fault := decide(Op{Kind: kind, Path: "/db/1.wal"}); fault != nil && fault.Err == nil && fault.Delay <= 0 {
					t.Fatalf("a fault that is none: %+v", fault)
				}
			}
		})
	})
}
