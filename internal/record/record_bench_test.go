package record

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			f, err := vfs.OS().Create(filepath.Join(b.TempDir(), "x"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			w, err := NewWriter(f, testHeader())
			if err != nil {
				b.Fatal(err)
			}
			p := make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if w.off > 64<<20 {
					w.off = HeaderLen
				}
				if _, err := w.Append(0, 1, p[:20], p[20:]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10, 4 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			f, err := vfs.OS().Create(filepath.Join(b.TempDir(), "x"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			w, err := NewWriter(f, testHeader())
			if err != nil {
				b.Fatal(err)
			}
			p := make([]byte, size)
			for w.Offset() < 32<<20 {
				if _, err := w.Append(0, 1, p); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.SetBytes(w.Offset())
			for b.Loop() {
				if _, _, err := Scan(f, "x", base.FileWAL, func(Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSearch is the time that bytes made to look like headers cost.
func BenchmarkSearch(b *testing.B) {
	for name, hostile := range map[string]bool{"zeros": false, "hostile": true} {
		b.Run(name, func(b *testing.B) {
			h := testHeader()
			h.ID = 0x0101010101010101
			f, _ := writeFile(b, h, 8)
			f.b = append(f.b, make([]byte, 8<<20)...)
			if hostile {
				for i := HeaderLen; i < len(f.b); i++ {
					f.b[i] = 1
				}
			}
			b.SetBytes(int64(len(f.b)))
			for b.Loop() {
				if _, _, err := Scan(f, "x", base.FileWAL, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
