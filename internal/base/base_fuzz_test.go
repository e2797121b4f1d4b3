package base

import (
	"bytes"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

func FuzzDecodeCommit(f *testing.F) {
	_, enc := sample()
	f.Add(enc)
	f.Add([]byte{})
	// The first keyspace that there is not, and the first length too many.
	f.Add(append(CommitHeader{FirstSeq: 1, Count: 1, OpsLen: 10}.Append(nil), byte(KindSet), 0x80, 0x80, 0x80, 0x80, 0x10, 1, 'k', 1, 'v'))
	f.Add(append(CommitHeader{FirstSeq: 1, Count: 1, OpsLen: 6}.Append(nil), byte(KindSet), 0, 1, 'k', 2, 'v'))
	f.Fuzz(func(t *testing.T, b []byte) {
		testkit.Bounded(t, len(b), func() { splitCommits(t, b) })
	})
}

// splitCommits decodes the commits of a WAL record.
func splitCommits(t *testing.T, b []byte) {
	for len(b) > 0 {
		h, ops, rest, err := DecodeCommit(b)
		if err != nil {
			return
		}
		if CommitHeaderLen+len(ops)+len(rest) != len(b) || uint64(len(ops)) != h.OpsLen {
			t.Fatalf("%d bytes split into %d and %d", len(b), len(ops), len(rest))
		}
		if !bytes.Equal(h.Append(nil), b[:CommitHeaderLen]) {
			t.Fatalf("%x decodes to %+v", b[:CommitHeaderLen], h)
		}
		walkOps(t, ops)
		b = rest
	}
}

// walkOps decodes encoded operations, and the same again from what it encodes
// them to, which may be shorter: numbers need not be in their shortest form.
func walkOps(t *testing.T, ops []byte) {
	var decoded []Op
	var again []byte
	it := OpIter{B: ops}
	for {
		peeked, peekErr := PeekKeyspace(it.B)
		op, ok, err := it.Next()
		if err != nil {
			return
		}
		if !ok {
			break
		}
		if peekErr != nil || peeked != op.Keyspace {
			t.Fatalf("keyspace %d was peeked as %d, %v", op.Keyspace, peeked, peekErr)
		}
		if expiry, value, err := SplitPayload(op.Kind, op.Payload); err == nil &&
			!bytes.Equal(AppendPayload(nil, op.Kind, expiry, value), op.Payload) {
			t.Fatalf("payload %x splits into %d and %x", op.Payload, expiry, value)
		}
		decoded, again = append(decoded, op), AppendOp(again, op)
	}
	if len(again) > len(ops) {
		t.Fatalf("%d bytes of operations encode to %d", len(ops), len(again))
	}
	it = OpIter{B: again}
	for _, want := range decoded {
		op, ok, err := it.Next()
		if !ok || err != nil || op.Kind != want.Kind || op.Keyspace != want.Keyspace ||
			!bytes.Equal(op.Key, want.Key) || !bytes.Equal(op.Payload, want.Payload) {
			t.Fatalf("%+v became %+v, %v", want, op, err)
		}
	}
}

func FuzzPointer(f *testing.F) {
	f.Add(Pointer{1, 2, 300, 4}.Append(nil))
	f.Add([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x10, 9, 3})
	f.Add([]byte{1, 2, 3, 4})
	f.Add(Pointer{1<<64 - 1, 1<<32 - 1, 1<<32 - 1, 1<<32 - 1}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		testkit.Bounded(t, len(b), func() {
			p, err := DecodePointer(b)
			if err != nil {
				return
			}
			again, err := DecodePointer(p.Append(nil))
			if err != nil || again != p || p.ValueLen > p.Size || len(b) > PointerLenMax+4*10 {
				t.Fatalf("%x is %+v, and then %+v, %v", b, p, again, err)
			}
		})
	})
}

// FuzzFileName: a name has one meaning, and the meaning one name.
func FuzzFileName(f *testing.F) {
	for _, name := range []string{LockName, CurrentName, "MANIFEST-000012", "000007.sst", "1000000.wal", "000001.vlog", "a.tmp", "0000001.sst"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		kind, num := ParseFileName(name)
		switch kind {
		case FileManifest, FileTable, FileWAL, FileVlog:
			if FileName(kind, num) != name {
				t.Fatalf("%q is number %d of %v", name, num, kind)
			}
		default:
			if num != 0 {
				t.Fatalf("%q has number %d", name, num)
			}
		}
	})
}

// FuzzPrefixExtractor: names in properties come from files.
func FuzzPrefixExtractor(f *testing.F) {
	f.Add(FixedPrefix(3).Name(), []byte("abcd"))
	f.Add(DelimitedPrefix('/').Name(), []byte("a/b"))
	f.Add("cordwood.prefix.fixed.-1", []byte("a"))
	f.Fuzz(func(t *testing.T, name string, key []byte) {
		e := ReadyPrefixExtractor(name)
		if e == nil {
			return
		}
		if e.Name() != name {
			t.Fatalf("%q is that of %q", name, e.Name())
		}
		if p, ok := PrefixOf(e, key); ok {
			if again, ok := PrefixOf(e, append(bytes.Clone(p), key...)); !ok || !bytes.Equal(again, p) {
				t.Fatalf("%s: a key with prefix %q has prefix %q", name, p, again)
			}
		}
	})
}
