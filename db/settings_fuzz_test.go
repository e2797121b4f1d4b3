package db

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// FuzzSettings decodes settings of keyspaces, which the MANIFEST hands on as it
// finds them.
func FuzzSettings(f *testing.F) {
	f.Add(storedSettings{ttl: -1, blockBytes: 4096, threshold: -1, filterBits: 10, compression: CompressionZstd}.encode())
	f.Add([]byte{settingCompression, 0x81, 0x02})
	f.Add([]byte{settingBlockBytes, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		testkit.Bounded(t, len(b), func() {
			s, err := decodeSettings(b)
			if err != nil {
				if !errors.Is(err, errSettings) && !errors.Is(err, errNewerSettings) {
					t.Fatal(err)
				}
				return
			}
			if got, want := s.encode(), shortest(t, b); string(got) != string(want) {
				t.Fatalf("% x, shortest % x, is read as %+v, which is written as % x", b, want, s, got)
			}
		})
	})
}

// shortest is how b is written: tags ascend, and the last value of each counts.
func shortest(t *testing.T, b []byte) (out []byte) {
	var values [settingCompression + 1]uint64
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		value, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || tag >= uint64(len(values)) {
			t.Fatalf("% x decodes", b)
		}
		values[tag], b = value, b[n+m:]
	}
	for tag, value := range values {
		if value != 0 {
			out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(tag)), value)
		}
	}
	return out
}
