package vlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// twins are records that differ in nothing but the keyspace, or that look as if
// they did: the last has a key that begins like the keyspace of another.
func twins(t *testing.T, m vfsDir, num base.FileNum, size int) []entry {
	w := mustCreate(t, m.fs, num, testID)
	var es []entry
	for _, e := range []entry{
		{key: []byte("twin")},
		{keyspace: 1, key: []byte("twin")},
		{keyspace: 1 << 24, key: []byte("twin")},
		{keyspace: 1<<32 - 1, key: []byte("twin")},
		{key: []byte("\x01\x00\x00\x00twin")},
		{keyspace: 5},
		{key: []byte("\x05\x00\x00\x00")},
		{},
	} {
		e.seq, e.value = 9, randomValue(size, 3)
		es = append(es, mustAppend(t, w, e))
	}
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	return es
}

func TestAPointerOfOneKeyspaceNeverReadsAnothersRecord(t *testing.T) {
	for _, size := range []int{10, readDirectBytes, directBytes} {
		m := vfsDir{newMem(t)}
		es := twins(t, m, 1, size)
		rewrite(t, m.fs, 2, testID+1, keepAll, 1)
		rewrite(t, m.fs, 3, testID+2, keepAll, 2)
		c := openCache(t, m.fs)
		for num := base.FileNum(1); num <= 3; num++ {
			loc := Location{Physical: num, ID: testID + uint64(num) - 1, Rewritten: num > 1}
			checkScan(t, m.fs, num, loc.ID, es)
			for i, ask := range es {
				for j, e := range es {
					if i == j {
						wantEntry(t, c, loc, e)
						continue
					}
					what := fmt.Sprintf("%d bytes, file %d: asked for %d at the place of %d", size, num, i, j)
					refused := func(_ []byte, err error) {
						t.Helper()
						if err == nil {
							t.Fatal(what)
						}
						wantCorruption(t, err)
					}
					refused(c.Read(nil, loc, ask.keyspace, ask.key, ask.seq, e.ptr))
					refused(c.Read(make([]byte, 1, size+1), loc, ask.keyspace, ask.key, ask.seq, e.ptr))
					refused(nil, c.VerifyRecord(loc, ask.keyspace, ask.key, ask.seq, e.ptr))
					reqs := []ReadRequest{
						{Loc: loc, Keyspace: ask.keyspace, Key: ask.key, Seq: 9, Ptr: e.ptr},
						{Loc: loc, Keyspace: ask.keyspace, Key: ask.key, Seq: 9, Ptr: ask.ptr},
					}
					refused(nil, c.ReadMany(reqs))
					refused(reqs[0].Dst, reqs[0].Err)
					if reqs[1].Err != nil || !bytes.Equal(reqs[1].Dst, ask.value) {
						t.Fatalf("%s: %v", what, reqs[1].Err)
					}
				}
			}
		}
	}
}

func TestRecordsOfKeyspace0CostNothing(t *testing.T) {
	m := newMem(t)
	w := mustCreate(t, m, 1, testID)
	plain := mustAppend(t, w, entry{key: []byte("k"), value: []byte("v")})
	spaced := mustAppend(t, w, entry{keyspace: 7, key: []byte("k"), value: []byte("v")})
	if plain.ptr.Size != recordHeaderLen+2 || spaced.ptr.Size != plain.ptr.Size+keyspaceLen {
		t.Fatalf("records of %d and %d bytes", plain.ptr.Size, spaced.ptr.Size)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnyDamagedByteOfAKeyspaceIsFound(t *testing.T) {
	testkit.Sequential(t)
	dir := vfsDir{newMem(t)}
	es := twins(t, dir, 1, 3)
	rewrite(t, dir.fs, 2, testID+1, keepAll, 1)
	for _, loc := range []Location{{Physical: 1, ID: testID}, {Physical: 2, ID: testID + 1, Rewritten: true}} {
		good := readFile(t, dir.fs, loc.Physical)
		for i := range good {
			for _, bits := range []byte{0x01, 0x10, 0xff} {
				b := slices.Clone(good)
				b[i] ^= bits
				writeBytes(t, dir.fs, loc.Physical, b)
				checkDamaged(t, dir, loc, es, fmt.Sprintf("byte %d ^ %#x", i, bits))
			}
		}
	}
}

// A record with right checksums that no writer would have made.
func TestImpossibleKeyspacesAreDamage(t *testing.T) {
	good := func(t *testing.T) (vfsDir, entry, []byte) {
		m := vfsDir{newMem(t)}
		w := mustCreate(t, m.fs, 1, testID)
		e := mustAppend(t, w, entry{keyspace: 6, key: []byte("key"), seq: 4, value: []byte("value")})
		if _, err := w.Seal(); err != nil {
			t.Fatal(err)
		}
		return m, e, readFile(t, m.fs, 1)
	}
	for what, change := range map[string]func(b []byte){
		"a file of version 1": func(b []byte) {
			h := fileHeader{version: 1, id: testID, number: 1}.encode()
			copy(b, h[:])
		},
		"keyspace 0":   func(b []byte) { clear(b[HeaderLen+recordHeaderLen:][:keyspaceLen]) },
		"another flag": func(b []byte) { b[HeaderLen+rhSeq+7] |= 2 },
	} {
		m, e, b := good(t)
		change(b)
		rec := b[HeaderLen:]
		binary.LittleEndian.PutUint32(rec[rhBodySum:], bodySum(0, rec[recordHeaderLen:], nil))
		sum := crcOf(rec[rhBodySum:recordHeaderLen])
		copy(rec, sum[:])
		writeBytes(t, m.fs, 1, b)
		c := openCache(t, m.fs)
		loc := Location{Physical: 1, ID: testID}
		for _, keyspace := range []uint32{0, 6} {
			_, err := c.Read(nil, loc, keyspace, e.key, e.seq, e.ptr)
			wantCorruption(t, err)
			wantCorruption(t, c.VerifyRecord(loc, keyspace, e.key, e.seq, e.ptr))
		}
		wantCorruption(t, c.Verify(loc, e.ptr))
		end, err := ScanFile(m.fs, "/db", 1, testID, 0, 0, keepNothing)
		wantCorruption(t, err)
		if end != HeaderLen {
			t.Fatalf("%s: valid up to %d", what, end)
		}
		s := salvageAll(t, m.fs, 1, testID, nil)
		if len(s.damaged) != 1 {
			t.Fatalf("%s: salvage found %v", what, s.damaged)
		}
	}
}

func keepNothing(Record) error { return nil }

func TestARewriterRefusesAnotherKeyspace(t *testing.T) {
	dir := vfsDir{newMem(t)}
	twins(t, dir, 1, 10)
	for _, keyspace := range []uint32{0, 1, 2} {
		w, err := NewRewriter(dir.fs, "/db", 2, testID+1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ScanFile(dir.fs, "/db", 1, testID, 0, 0, func(r Record) error {
			if r.Keyspace == keyspace {
				return w.Add(r)
			}
			r.Keyspace = keyspace
			return w.Add(r)
		})
		if err == nil {
			t.Fatalf("records of any keyspace were taken for keyspace %d", keyspace)
		}
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
	}
}
