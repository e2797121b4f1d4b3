package measure

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestDropCacheDropsAndKeepsTheData(t *testing.T) {
	dir := t.TempDir()
	if resident, ok, err := DropCache(dir); resident != 0 || !ok || err != nil {
		t.Errorf("empty folder: %g, %t, %v", resident, ok, err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	name := write(t, data, dir, "sub", "file")
	write(t, nil, dir, "empty")
	if in, all := cachedPart(t, name); in == 0 || all != len(data)/os.Getpagesize() {
		t.Errorf("%d of %d pages are in memory after writing", in, all)
	}
	resident, ok, err := DropCache(dir)
	if !ok || err != nil || resident < 0 || resident > 1 {
		t.Fatalf("%g, %t, %v", resident, ok, err)
	}
	if onDisk(dir) && resident > 0.5 {
		t.Errorf("%g of the pages are still in memory", resident)
	}
	if in, all := cachedPart(t, name); float64(in)/float64(all) > resident+0.01 {
		t.Errorf("%d of %d pages are in memory, not %g", in, all, resident)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the file has changed: %v", err)
	}
	if in, _ := cachedPart(t, name); in == 0 {
		t.Error("no page is in memory after reading")
	}
}

func cachedPart(t *testing.T, name string) (in, all int) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	in, all, err = cached(int(f.Fd()), 0, int(info.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return in, all
}

func TestDropCacheOfALongFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	write(t, nil, name)
	const size = 2*mapBytes + 5000
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	in, all, err := dropFile(name)
	if in != 0 || all != (size+page-1)/page || err != nil {
		t.Errorf("%d of %d pages, %v", in, all, err)
	}
	if _, _, err := dropFile(name + "?"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
