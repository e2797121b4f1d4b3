package base

import (
	"errors"
	"io"
	"testing"
)

func TestCorruptionErrorTellsWhereAndKeepsItsCause(t *testing.T) {
	err := error(&CorruptionError{File: "000001.sst", Offset: 4096, Reason: "checksum", Err: io.ErrUnexpectedEOF})
	if got, want := err.Error(), "cordwood: corruption in 000001.sst at offset 4096: checksum: unexpected EOF"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if got, want := Corruptf("CURRENT", -1, "%d bytes", 3).Error(), "cordwood: corruption in CURRENT: 3 bytes"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
