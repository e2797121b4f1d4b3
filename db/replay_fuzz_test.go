package db

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// storeBound is what opening a store, reading and writing it and closing it may
// take: caches and buffers in the first place.
var storeBound = testkit.Bound{PerByte: 256, Fixed: 16 << 20}

// fuzzOptions are those of small stores that are opened often.
func fuzzOptions(fs vfs.FS) *Options {
	return &Options{FS: fs, MemoryMax: 4 << 20, MemtableBytes: 16 << 10, SyncInterval: -1, Merge: Append()}
}

// killedStore is what a process that died left: one commit in the log, behind
// which there is room.
func killedStore(f *testing.F) (fs *vfs.Mem, path string, log []byte) {
	mem := vfs.NewMem()
	store, err := Open("/db", fuzzOptions(mem))
	if err != nil {
		f.Fatal(err)
	}
	if _, err = store.Keyspace("k", nil); err == nil {
		err = store.Put(bs("first"), bs("1"))
	}
	if err != nil {
		f.Fatal(err)
	}
	fs = mem.KillClone()
	if err := store.Close(); err != nil {
		f.Fatal(err)
	}
	infos, err := fs.List("/db")
	if err != nil {
		f.Fatal(err)
	}
	for _, info := range infos {
		if kind, _ := base.ParseFileName(info.Name); kind == base.FileWAL {
			path = filepath.Join("/db", info.Name)
		}
	}
	if log, err = vfs.ReadFile(fs, path, 1<<30); err != nil {
		f.Fatal(err)
	}
	end := record.HeaderLen
	for log[end+30] != 0 {
		end += record.RecordHeaderLen + int(binary.LittleEndian.Uint32(log[end+24:]))
	}
	return fs, path, log[:end:end]
}

// withRecord is a log with one more record of commits.
func withRecord(log, payload []byte) []byte {
	end := len(log)
	log = append(log, make([]byte, record.RecordHeaderLen)...)
	binary.LittleEndian.PutUint32(log[end+24:], uint32(len(payload)))
	log[end+30] = 1 // commits
	log = append(log, payload...)
	testkit.ResealRecords(log)
	return log
}

// FuzzReplayedCommits puts a payload into the log with the right checksums and
// opens the store: it refuses, or goes on as ever.
func FuzzReplayedCommits(f *testing.F) {
	fs, path, log := killedStore(f)
	ops := base.AppendOp(nil, base.Op{Kind: base.KindSet, Key: []byte("k"), Payload: []byte("v")})
	ops = base.AppendOp(ops, base.Op{Kind: base.KindDelete, Keyspace: 1, Key: []byte("first")})
	ops = base.AppendOp(ops, base.Op{Kind: base.KindMerge, Key: []byte("m"), Payload: []byte("o")})
	ops = base.AppendOp(ops, base.Op{Kind: base.KindRangeDelete, Key: []byte("x"), Payload: []byte("z")})
	f.Add(append(base.CommitHeader{FirstSeq: 2, Count: 4, OpsLen: uint64(len(ops))}.Append(nil), ops...))
	f.Add(append(base.CommitHeader{FirstSeq: base.SeqNumMax - 4, Count: 4, OpsLen: uint64(len(ops))}.Append(nil), ops...))
	far := base.AppendOp(nil, base.Op{Kind: base.KindSetPointer, Key: []byte("p"), Payload: base.Pointer{File: 9, Offset: 64, Size: 90, ValueLen: 5}.Append(nil)})
	f.Add(append(base.CommitHeader{FirstSeq: 2, Count: 1, OpsLen: uint64(len(far))}.Append(nil), far...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		clone := fs.KillClone()
		file, err := clone.OpenReadWrite(path)
		must(t, err)
		b := withRecord(log, payload)
		_, err = file.WriteAt(b, 0)
		must(t, err, file.Close())
		storeBound.Run(t, len(b), func() { openAndGoOn(t, clone) })
		if n := clone.OpenHandles(); n != 0 {
			t.Fatalf("%d files are left open", n)
		}
	})
}

// openAndGoOn opens a store that somebody may have forged, reads all that is in
// it, writes, and opens it again.
func openAndGoOn(t *testing.T, fs *vfs.Mem) {
	store, err := Open("/db", fuzzOptions(fs))
	if err != nil {
		if !isTyped(err) {
			t.Fatalf("untyped error: %v", err)
		}
		return
	}
	before := readAll(t, store)
	if err := writeSome(t, store); err != nil && !errors.Is(err, errSequenceNumbers) {
		t.Fatal(err)
	}
	// What is damaged stops a flush, and says so; a store without numbers for
	// commits takes no writes.
	if err := store.Flush(context.Background()); err != nil && !isTyped(err) && !errors.Is(err, errSequenceNumbers) {
		t.Fatal(err)
	}
	if after := readAll(t, store); after != before {
		t.Fatalf("%s, and then %s", before, after)
	}
	if err := store.Close(); err != nil && !errors.Is(err, errSequenceNumbers) {
		t.Fatal(err)
	}
	store, err = Open("/db", fuzzOptions(fs))
	must(t, err)
	if after := readAll(t, store); after != before {
		t.Fatalf("%s, and after opening it again %s", before, after)
	}
	closeDB(t, store)
}

// writeSome writes to a store, and takes it back.
func writeSome(t *testing.T, store *DB) error {
	if err := errors.Join(store.Put(bs("new"), bs("1")), store.Delete(bs("new")), store.Put(bs("newer"), bs("2"))); err != nil {
		return err
	}
	if v, err := store.Get(bs("newer")); err != nil || string(v) != "2" {
		t.Fatalf("what was just written: %q, %v", v, err)
	}
	if _, err := store.Get(bs("new")); err != ErrNotFound {
		t.Fatalf("a key that was deleted: %v", err)
	}
	return store.Delete(bs("newer"))
}

// readAll is what is in a store, with the places of damage.
func readAll(t *testing.T, store *DB) string {
	var out []byte
	c, err := store.NewCursor(All())
	must(t, err)
	defer c.Close()
	for ok := c.First(); ok; ok = c.Next() {
		v, err := c.Value()
		if err != nil && !isTyped(err) {
			t.Fatal(err)
		}
		out = append(append(append(out, c.Key()...), '='), v...)
		if err != nil {
			out = append(out, "damaged"...)
		}
		out = append(out, ' ')
	}
	if err := c.Err(); err != nil {
		if !isTyped(err) {
			t.Fatal(err)
		}
		out = append(out, "the rest is damaged"...)
	}
	return string(out)
}
