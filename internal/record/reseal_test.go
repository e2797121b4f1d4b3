package record

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// The fuzz targets of this format rely on it.
func TestResealedFilesReadAsTheyStand(t *testing.T) {
	whole, want := image(t)
	b := slices.Clone(whole)
	testkit.ResealRecords(b)
	if !bytes.Equal(b, whole) {
		t.Error("a file that nobody changed has other checksums now")
	}
	changed := slices.IndexFunc(want, func(w written) bool { return len(w.payload) > 0 })
	b[want[changed].off+RecordHeaderLen] ^= 1
	b[fileIDOff] ^= 1
	testkit.ResealRecords(b)
	n := 0
	_, tail, err := Scan(&bytesFile{b: b}, "f", base.FileWAL, func(Record) error { n++; return nil })
	if err != nil || n != len(want) || tail.Offset == 0 {
		t.Errorf("%d records of %d, %+v, %v", n, len(want), tail, err)
	}
}
