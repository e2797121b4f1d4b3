package vlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

// checkDamaged reads every record of a file that is not as it was written, and
// scans it. Each answer must be right or a CorruptionError.
func checkDamaged(t *testing.T, dir vfsDir, loc Location, es []entry, what string) {
	t.Helper()
	c := NewFileCache(dir.fs, "/db", 4, nil)
	for _, e := range es {
		got, err := c.Read(nil, loc, e.keyspace, e.key, e.seq, e.ptr)
		if err == nil && !bytes.Equal(got, e.value) {
			t.Fatalf("%s: wrong value under %s", what, e.key)
		}
		if err != nil {
			wantCorruption(t, err)
		}
		if verr := c.Verify(loc, e.ptr); (verr == nil) != (err == nil) {
			t.Fatalf("%s: Read says %v, Verify %v", what, err, verr)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	i := 0
	check := func(r Record) error {
		for i < len(es) && es[i].ptr != r.Pointer {
			i++
		}
		if i == len(es) || !bytes.Equal(r.Value, es[i].value) || !bytes.Equal(r.Key, es[i].key) || r.Seq != es[i].seq || r.Expiry != es[i].expiry || r.Keyspace != es[i].keyspace {
			return fmt.Errorf("a record that was never written: %+v", r.Pointer)
		}
		i++
		return nil
	}
	_, err := VerifyFile(dir.fs, "/db", loc.Physical, loc.ID, 0, check)
	wantDamageFound(t, what, err)
	i = 0
	if err := Salvage(dir.fs, "/db", loc.Physical, loc.ID, check, nil); err != nil {
		t.Fatalf("%s: salvage: %v", what, err)
	}
	if dir.mem().OpenHandles() != 0 {
		t.Fatalf("%s: open handles left", what)
	}
}

func wantDamageFound(t *testing.T, what string, err error) {
	t.Helper()
	var c *base.CorruptionError
	if !errors.As(err, &c) {
		t.Fatalf("%s: VerifyFile gave %v", what, err)
	}
}

func smallFiles(t *testing.T) (dir vfsDir, original, rewritten []entry) {
	dir = vfsDir{newMem(t)}
	original = writeFile(t, dir.fs, 1, testID, 10, 0, 100, 33, 7)
	rewrite(t, dir.fs, 2, testID+1, func(r Record) bool { return r.Seq%2 == 0 }, 1)
	for _, e := range original {
		if e.seq%2 == 0 {
			rewritten = append(rewritten, e)
		}
	}
	return dir, original, rewritten
}

func TestAnyDamagedByteIsFound(t *testing.T) {
	dir, original, rewritten := smallFiles(t)
	for _, f := range []struct {
		loc Location
		es  []entry
	}{
		{Location{Physical: 1, ID: testID}, original},
		{Location{Physical: 2, ID: testID + 1, Rewritten: true}, rewritten},
	} {
		good := readFile(t, dir.fs, f.loc.Physical)
		for i := range good {
			for _, bits := range []byte{0x01, 0x80, 0xff} {
				b := slices.Clone(good)
				b[i] ^= bits
				writeBytes(t, dir.fs, f.loc.Physical, b)
				checkDamaged(t, dir, f.loc, f.es, fmt.Sprintf("byte %d ^ %#x", i, bits))
			}
		}
		for i := 0; i < len(good); i += 16 { // zeroed runs
			b := slices.Clone(good)
			clear(b[i:min(i+64, len(b))])
			if bytes.Equal(b, good) {
				continue
			}
			writeBytes(t, dir.fs, f.loc.Physical, b)
			checkDamaged(t, dir, f.loc, f.es, fmt.Sprintf("zeros from %d", i))
		}
		writeBytes(t, dir.fs, f.loc.Physical, good)
	}
}

func TestDamageInLargeValuesIsFound(t *testing.T) {
	dir := vfsDir{newMem(t)}
	es := writeFile(t, dir.fs, 1, testID, readDirectBytes, 300_000)
	good := readFile(t, dir.fs, 1)
	for i, e := range es {
		for _, at := range []uint32{0, 20, recordHeaderLen, recordHeaderLen + 9, e.ptr.Size / 2, e.ptr.Size - 1} {
			b := slices.Clone(good)
			b[e.ptr.Offset+at] ^= 0x10
			writeBytes(t, dir.fs, 1, b)
			c := NewFileCache(dir.fs, "/db", 1, nil)
			for _, dst := range [][]byte{nil, make([]byte, 0, 400_000), []byte("x")} {
				for j, e := range es {
					got, err := c.Read(dst, Location{Physical: 1, ID: testID}, e.keyspace, e.key, e.seq, e.ptr)
					if i == j {
						wantCorruption(t, err)
						wantCorruption(t, c.Verify(Location{Physical: 1, ID: testID}, e.ptr))
					} else if err != nil || !bytes.Equal(got[len(dst):], e.value) {
						t.Fatal(err)
					}
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnyTruncationIsFound(t *testing.T) {
	dir, original, rewritten := smallFiles(t)
	for _, f := range []struct {
		loc Location
		es  []entry
	}{
		{Location{Physical: 1, ID: testID}, original},
		{Location{Physical: 2, ID: testID + 1, Rewritten: true}, rewritten},
	} {
		good := readFile(t, dir.fs, f.loc.Physical)
		for n := range good {
			writeBytes(t, dir.fs, f.loc.Physical, good[:n])
			c := NewFileCache(dir.fs, "/db", 4, nil)
			for _, e := range f.es {
				got, err := c.Read(nil, f.loc, e.keyspace, e.key, e.seq, e.ptr)
				if err != nil {
					wantCorruption(t, err)
				} else if !bytes.Equal(got, e.value) {
					t.Fatalf("cut at %d: wrong value", n)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			// The owner knows where a sealed file ends.
			_, err := VerifyFile(dir.fs, "/db", f.loc.Physical, f.loc.ID, int64(len(good)), nil)
			wantCorruption(t, err)
		}
		writeBytes(t, dir.fs, f.loc.Physical, append(slices.Clone(good), 0))
		_, err := VerifyFile(dir.fs, "/db", f.loc.Physical, f.loc.ID, 0, nil)
		wantCorruption(t, err)
	}
}

func TestSwappedFilesAreFound(t *testing.T) {
	m := newMem(t)
	a := writeFile(t, m, 1, testID, 100, 100)
	writeFile(t, m, 2, testID+1, 100, 100)
	c := openCache(t, m)
	one, two := readFile(t, m, 1), readFile(t, m, 2)
	writeBytes(t, m, 1, two)
	_, err := c.Read(nil, Location{Physical: 1, ID: testID}, a[0].keyspace, a[0].key, a[0].seq, a[0].ptr)
	wantCorruption(t, err)
	_, err = ScanFile(m, "/db", 1, 0, 0, 0, func(Record) error { return nil })
	wantCorruption(t, err) // even without knowing the id: the number differs
	wantCorruption(t, Salvage(m, "/db", 1, 0, nil, nil))

	// An earlier file of the same number, as a restored backup leaves behind.
	writeBytes(t, m, 1, one)
	_, err = c.Read(nil, Location{Physical: 1, ID: testID + 9}, a[0].keyspace, a[0].key, a[0].seq, a[0].ptr)
	wantCorruption(t, err)
	_, err = c.Read(nil, Location{Physical: 1, ID: testID, Rewritten: true}, a[0].keyspace, a[0].key, a[0].seq, a[0].ptr)
	wantCorruption(t, err)
	_, err = ScanFile(m, "/db", 1, testID+9, 0, 0, func(Record) error { return nil })
	wantCorruption(t, err)
}

func TestSwappedRecordsAreFound(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID, 200, 200, 200)
	other := writeFile(t, m, 2, testID+1, 200, 200, 200)
	good, foreign := readFile(t, m, 1), readFile(t, m, 2)
	size := int(es[0].ptr.Size)
	at := func(i int) int { return int(es[i].ptr.Offset) }
	cases := map[string][]byte{}

	b := slices.Clone(good) // two records of one file change places
	copy(b[at(0):], good[at(1):][:size])
	copy(b[at(1):], good[at(0):][:size])
	cases["swapped"] = b

	b = slices.Clone(good) // the record at this place in another file
	copy(b[at(1):], foreign[other[1].ptr.Offset:][:size])
	cases["foreign"] = b

	// The record at this place in an earlier file of the same number.
	old := newMem(t)
	stale := writeFile(t, old, 1, testID+2, 200, 200, 200)
	b = slices.Clone(good)
	copy(b[at(1):], readFile(t, old, 1)[stale[1].ptr.Offset:][:size])
	cases["stale"] = b

	b = slices.Clone(good) // a value under another record's header
	copy(b[at(1)+recordHeaderLen:], good[at(2)+recordHeaderLen:][:size-recordHeaderLen])
	cases["value of another"] = b

	b = slices.Clone(good) // a sector that was never written
	clear(b[at(1):at(2)])
	cases["lost"] = b

	for what, b := range cases {
		writeBytes(t, m, 1, b)
		checkDamaged(t, vfsDir{m}, Location{Physical: 1, ID: testID}, es, what)
	}
}

func TestAReadChecksWhatItAskedFor(t *testing.T) {
	m := newMem(t)
	for _, size := range []int{100, readDirectBytes, 300_000} {
		num := base.FileNum(size)
		es := writeFile(t, m, num, testID, size, size)
		rewrite(t, m, num+1, testID+1, keepAll, num)
		c := openCache(t, m)
		for _, loc := range []Location{{Physical: num, ID: testID}, {Physical: num + 1, ID: testID + 1, Rewritten: true}} {
			e := es[1]
			wantEntry(t, c, loc, e)
			ask := func(key []byte, seq base.SeqNum, change func(*base.Pointer)) {
				t.Helper()
				p := e.ptr
				change(&p)
				dst := []byte("mine")
				got, err := c.Read(dst, loc, 0, key, seq, p)
				wantCorruption(t, err)
				if string(got) != "mine" {
					t.Fatalf("dst is %q after an error", got)
				}
				wantCorruption(t, c.VerifyRecord(loc, 0, key, seq, p))
			}
			same := func(*base.Pointer) {}
			ask(e.key, e.seq+1, same)
			ask([]byte("KEY-00001"), e.seq, same)
			ask([]byte("key"), e.seq, same)
			ask(e.key, e.seq, func(p *base.Pointer) { p.File++ })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Offset = es[0].ptr.Offset })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Offset++ })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Offset = 0 })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Offset = 1 << 31 })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Size++ })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Size--; p.ValueLen-- })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Size++; p.ValueLen++ })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Size, p.ValueLen = 1<<32-1, 1<<32-1 })
			ask(e.key, e.seq, func(p *base.Pointer) { p.Size, p.ValueLen = 0, 0 })
			p := e.ptr
			p.ValueLen--
			wantCorruption(t, c.Verify(loc, p))
		}
	}
}

func TestARewriterRefusesAChangedRecord(t *testing.T) {
	m := newMem(t)
	writeFile(t, m, 1, testID, 100, 100)
	w, err := NewRewriter(m, "/db", 2, testID+1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ScanFile(m, "/db", 1, testID, 0, 0, func(r Record) error {
		r.Value = slices.Clone(r.Value)
		r.Value[50] ^= 1
		return w.Add(r)
	})
	wantCorruption(t, err)
	if _, err := w.Finish(); err == nil {
		t.Fatal("Finish after a failed Add")
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Stat("/db/" + fileName(2)); err == nil {
		t.Fatal("Abort left the file")
	}
}

func TestNewerFormatIsRefusedAndOtherFilesAreNoValueLogs(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID, 10)
	h := fileHeader{version: formatVersion + 1, id: testID, number: 1}.encode()
	writeBytes(t, m, 1, append(h[:], readFile(t, m, 1)[HeaderLen:]...))
	c := openCache(t, m)
	var f *base.FormatError
	if _, err := c.Read(nil, Location{Physical: 1, ID: testID}, es[0].keyspace, es[0].key, es[0].seq, es[0].ptr); !errors.As(err, &f) {
		t.Fatalf("got %v", err)
	}
	if _, err := ScanFile(m, "/db", 1, 0, 0, 0, nil); !errors.As(err, &f) {
		t.Fatalf("got %v", err)
	}
	if err := Salvage(m, "/db", 1, testID, nil, nil); !errors.As(err, &f) {
		t.Fatalf("got %v", err)
	}
	h = fileHeader{version: 0, id: testID, number: 1}.encode()
	for _, b := range [][]byte{nil, []byte("x"), make([]byte, 4096), h[:]} {
		writeBytes(t, m, 1, b)
		_, err := ScanFile(m, "/db", 1, 0, 0, 0, nil)
		wantCorruption(t, err)
	}
}
