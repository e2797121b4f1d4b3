package base

import (
	"math"
	"slices"
	"testing"
)

func TestInternalKeysOrderByUserKeyThenNewestFirst(t *testing.T) {
	key := func(user string, seq SeqNum, kind Kind) InternalKey {
		return InternalKey{[]byte(user), MakeTrailer(seq, kind)}
	}
	want := []InternalKey{
		{[]byte(""), SeekTrailer(SeqNumMax)},
		key("", 1, KindSet),
		{[]byte("a"), SeekTrailer(9)},
		key("a", 9, KindDelete), key("a", 8, KindSetPointer), key("a", 0, KindSet),
		key("a\x00", 5, KindMerge), key("b", 100, KindRangeDelete), key("\xff", 1, KindSet),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, InternalKey.Compare)
	for i := range want {
		if got[i].Compare(want[i]) != 0 {
			t.Errorf("place %d: %s, want %s", i, got[i], want[i])
		}
	}
}

func TestTrailerHoldsSequenceNumberAndKind(t *testing.T) {
	for _, seq := range []SeqNum{0, 1, 1 << 40, SeqNumMax} {
		for _, kind := range []Kind{KindDelete, KindSet, KindSetPointer | FlagExpiry, KindMerge, KindRangeDelete} {
			tr := MakeTrailer(seq, kind)
			if tr.SeqNum() != seq || tr.Kind() != kind {
				t.Errorf("%d %s comes back as %d %s", seq, kind, tr.SeqNum(), tr.Kind())
			}
		}
	}
}

func TestOnlyDefinedKindsAreValid(t *testing.T) {
	valid := map[Kind]string{
		KindDelete: "delete", KindSet: "set", KindSetPointer: "set-pointer", KindMerge: "merge",
		KindRangeDelete: "range-delete", KindSet | FlagExpiry: "set+expiry", KindSetPointer | FlagExpiry: "set-pointer+expiry",
	}
	for k := range 256 {
		name, ok := valid[Kind(k)]
		if Kind(k).Valid() != ok || ok && Kind(k).String() != name {
			t.Errorf("kind %#x: valid %v, %q; want %v, %q", k, Kind(k).Valid(), Kind(k), ok, name)
		}
	}
}

func TestFileNamesParseBackAndNothingElseDoes(t *testing.T) {
	for _, kind := range []FileKind{FileManifest, FileTable, FileWAL, FileVlog} {
		for _, num := range []uint64{0, 7, 999_999, 1_000_000, 1 << 63} {
			if k, n := ParseFileName(FileName(kind, num)); k != kind || n != num {
				t.Errorf("%s parses as %d %d", FileName(kind, num), k, n)
			}
		}
	}
	for name, want := range map[string]string{
		"MANIFEST-000001": FileName(FileManifest, 1), "000000.sst": FileName(FileTable, 0), "000090.sst": FileName(FileTable, 90),
		"099999.wal": FileName(FileWAL, 99_999), "100000.vlog": FileName(FileVlog, 100_000), "1000000.vlog": FileName(FileVlog, 1_000_000),
		"MANIFEST-18446744073709551615": FileName(FileManifest, math.MaxUint64),
	} {
		if name != want {
			t.Errorf("%s, want %s", want, name)
		}
	}
	for name, want := range map[string]FileKind{
		"LOCK": FileLock, "CURRENT": FileCurrent, "CURRENT.tmp": FileTemp,
		"1.sst": FileUnknown, "0000001.sst": FileUnknown, "000001.sst ": FileUnknown, "-00001.wal": FileUnknown,
		"MANIFEST-": FileUnknown, "MANIFEST-1": FileUnknown, "+00001.vlog": FileUnknown, "": FileUnknown, "notes.txt": FileUnknown,
		"18446744073709551616.sst": FileUnknown, "00_001.sst": FileUnknown, "٠٠٠٠٠١.sst": FileUnknown,
	} {
		if k, _ := ParseFileName(name); k != want {
			t.Errorf("%q parses as %d, want %d", name, k, want)
		}
	}
}
