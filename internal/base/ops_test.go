package base

import (
	"bytes"
	"testing"
)

// sample is a commit of one operation of every kind.
func sample() ([]Op, []byte) {
	ops := []Op{
		{Kind: KindSet, Key: []byte("k"), Payload: []byte("value")},
		{Kind: KindDelete, Key: []byte{}, Payload: []byte{}},
		{Kind: KindSet | FlagExpiry, Keyspace: 300, Key: []byte("e"), Payload: AppendPayload(nil, KindSet|FlagExpiry, 77, nil)},
		{Kind: KindSetPointer, Key: bytes.Repeat([]byte{1}, 1000), Payload: Pointer{1, 2, 3, 1}.Append(nil)},
		{Kind: KindRangeDelete, Key: []byte("a"), Payload: []byte("b")},
		{Kind: KindMerge, Key: []byte("m"), Payload: []byte{0}},
	}
	var enc []byte
	for _, op := range ops {
		enc = AppendOp(enc, op)
	}
	h := CommitHeader{FirstSeq: 42, Count: uint32(len(ops)), OpsLen: uint64(len(enc))}
	return ops, append(h.Append(nil), enc...)
}

func TestCommitComesBackAsWritten(t *testing.T) {
	want, enc := sample()
	enc = append(enc, "rest"...)
	h, ops, rest, err := DecodeCommit(enc)
	if err != nil || h.FirstSeq != 42 || int(h.Count) != len(want) || string(rest) != "rest" {
		t.Fatalf("header %+v, rest %q, %v", h, rest, err)
	}
	it := OpIter{B: ops}
	for i, w := range want {
		peeked, err := PeekKeyspace(it.B)
		if err != nil || peeked != w.Keyspace {
			t.Fatalf("operation %d: keyspace %d, %v; want %d", i, peeked, err, w.Keyspace)
		}
		op, ok, err := it.Next()
		if !ok || err != nil || op.Kind != w.Kind || op.Keyspace != w.Keyspace ||
			!bytes.Equal(op.Key, w.Key) || !bytes.Equal(op.Payload, w.Payload) {
			t.Fatalf("operation %d: %+v, %v, %v; want %+v", i, op, ok, err, w)
		}
	}
	if _, ok, err := it.Next(); ok || err != nil {
		t.Fatalf("after the last: %v, %v", ok, err)
	}
}

func TestCutCommitIsAnErrorAtEveryLength(t *testing.T) {
	_, enc := sample()
	for n := range len(enc) {
		if _, _, _, err := DecodeCommit(enc[:n]); err == nil {
			t.Fatalf("%d of %d bytes decode", n, len(enc))
		}
	}
	_, ops, _, _ := DecodeCommit(enc)
	ends := map[int]bool{0: true}
	for it := (OpIter{B: ops}); ; ends[len(ops)-len(it.B)] = true {
		if _, ok, err := it.Next(); err != nil {
			t.Fatal(err)
		} else if !ok {
			break
		}
	}
	for n := range len(ops) {
		it := OpIter{B: ops[:n]}
		var err error
		for ok := true; ok; _, ok, err = it.Next() {
		}
		if (err == nil) != ends[n] {
			t.Fatalf("operations cut at %d: %v", n, err)
		}
	}
}

func TestPeekKeyspaceRefusesWhatNoOperationStartsWith(t *testing.T) {
	for _, b := range [][]byte{nil, {byte(KindSet)}, {byte(KindSet), 0x80}, {0x7f, 0}, {byte(KindSet), 0x80, 0x80, 0x80, 0x80, 0x10}} {
		if ks, err := PeekKeyspace(b); err == nil {
			t.Errorf("% x is of keyspace %d", b, ks)
		}
	}
	if ks, err := PeekKeyspace([]byte{byte(KindSet), 0xff, 0xff, 0xff, 0xff, 0x0f}); err != nil || ks != 1<<32-1 {
		t.Errorf("the last keyspace: %d, %v", ks, err)
	}
}

func TestSequenceNumbersOfACommitDoNotOverflow(t *testing.T) {
	enc := CommitHeader{FirstSeq: SeqNumMax, Count: 1}.Append(nil)
	if _, _, _, err := DecodeCommit(enc); err == nil {
		t.Fatal("a commit beyond the last sequence number decodes")
	}
}

func TestPointerComesBackAndNothingElseDoes(t *testing.T) {
	for _, p := range []Pointer{{}, {1, 2, 3, 3}, {1 << 63, 1<<32 - 1, 1<<32 - 1, 1<<32 - 1}} {
		enc := p.Append(nil)
		if len(enc) > PointerLenMax {
			t.Errorf("%+v takes %d bytes", p, len(enc))
		}
		if got, err := DecodePointer(enc); err != nil || got != p {
			t.Errorf("%+v comes back as %+v, %v", p, got, err)
		}
		for n := range len(enc) {
			if _, err := DecodePointer(enc[:n]); err == nil {
				t.Errorf("%d of %d bytes of %+v decode", n, len(enc), p)
			}
		}
		if _, err := DecodePointer(append(enc, 0)); err == nil {
			t.Errorf("%+v decodes with a byte too much", p)
		}
	}
	if _, err := DecodePointer((Pointer{1, 2, 3, 4}).Append(nil)); err == nil {
		t.Error("a value longer than its record decodes")
	}
}

func TestPayloadSplitsAsItWasJoined(t *testing.T) {
	kind := KindSet | FlagExpiry
	expiry, value, err := SplitPayload(kind, AppendPayload(nil, kind, 1<<63, []byte("v")))
	if err != nil || expiry != 1<<63 || string(value) != "v" {
		t.Fatal(expiry, value, err)
	}
	if _, _, err := SplitPayload(kind, make([]byte, 7)); err == nil {
		t.Fatal("half an expiry splits")
	}
	if expiry, value, err = SplitPayload(KindSet, []byte("v")); err != nil || expiry != 0 || string(value) != "v" {
		t.Fatal(expiry, value, err)
	}
}
