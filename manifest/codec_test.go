package manifest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

// fullEdit has every field.
func fullEdit() *Edit {
	return &Edit{
		KeyspacesAdded: []Keyspace{
			{Num: 3, Name: "orders", Dropped: true, MergeOperator: "sum", Settings: []byte{1, 0, 2}},
			{Num: 1<<32 - 1, Name: "ключи"},
		},
		KeyspacesDropped: []uint32{4, 5},
		KeyspacesRemoved: []uint32{6},
		KeyspacesChanged: []KeyspaceChange{
			{MergeOperator: new("")},
			{Num: 3, MergeOperator: new("max"), Settings: []byte("x")},
			{Settings: []byte{}},
			{Num: 9},
		},
		NextKeyspace: 10,
		Added: []AddedTable{
			{Level: 6, Meta: &TableMeta{
				Keyspace: 3, Num: 11, Size: 12345, ID: 0x1122334455667788,
				Smallest: []byte("apple"), Largest: []byte("pear"), LargestExclusive: true,
				SeqMin: 21, SeqMax: 22, Entries: 23, Deletes: 24, Merges: 25, RangeDels: 26,
				KeyBytes: 27, ValueBytes: 28, VlogBytes: 29, Expiring: 30, ExpiryMin: 31, ExpiryMax: 32,
			}},
			{Level: 0, Meta: &TableMeta{Num: 12, Size: 1, Smallest: []byte{}, Largest: []byte{0xff}, SeqMax: base.SeqNumMax}},
			{Level: 1, Meta: &TableMeta{Num: 13, Keyspace: 7, Smallest: []byte{}, Largest: []byte{}}},
			{Level: 1, Meta: &TableMeta{Num: 14, Keyspace: 7, Smallest: []byte{}, Largest: []byte{}}},
		},
		Deleted: []DeletedTable{{0, 13}, {5, 14}},
		VlogAdded: []VlogMeta{
			{Logical: 15, Physical: 16, PhysicalID: 17, Rewritten: true, Sealed: true, Bytes: 18, Discarded: 9, SyncedTo: 19, ExpiryMin: 1, ExpiryMax: 2, AllExpire: true},
			{Logical: 20, Physical: 20},
		},
		VlogSealed:    []VlogSeal{{Logical: 15, Bytes: 1, SyncedTo: 2, ExpiryMin: 3, ExpiryMax: 4, AllExpire: true}},
		VlogSynced:    []VlogSync{{Logical: 15, To: 77}},
		VlogMoved:     []VlogMove{{Logical: 15, From: 16, To: 18, ToID: 19, Bytes: 20, DeadBytes: 21, ExpiryMin: 1, ExpiryMax: 2, AllExpire: true}},
		VlogRemoved:   []base.FileNum{21, 22},
		Discards:      map[base.FileNum]uint64{15: 100, 1: 2, 1 << 40: 3},
		MinSegment:    new(base.SegmentNum(0)),
		MinSegmentID:  98,
		LastSeq:       new(base.SeqNum(99)),
		ExpiryHorizon: new(uint64(0)),
		NextFile:      1000,
	}
}

func TestEditSurvivesEncoding(t *testing.T) {
	for _, e := range []*Edit{{}, fullEdit()} {
		b := e.Encode([]byte("before"))
		if string(b[:6]) != "before" {
			t.Fatal("Encode does not append")
		}
		b = b[6:]
		got, err := DecodeEdit(b)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("%v: got %+v, want %+v", err, got, e)
		}
		for i := range b { // a prefix may be an edit, but must not be the whole
			if got, err := DecodeEdit(b[:i]); err == nil && reflect.DeepEqual(got, e) {
				t.Fatalf("%d of %d bytes are enough", i, len(b))
			}
		}
		clear(b)
		if !reflect.DeepEqual(got, e) {
			t.Fatal("the edit shares memory with its encoding")
		}
	}
}

// TestEveryFieldIsEncoded sees to it that a field added to a struct is not
// forgotten in the codec: fullEdit sets it, and the round trip compares it.
func TestEveryFieldIsEncoded(t *testing.T) {
	e := fullEdit()
	for _, v := range []any{*e, *e.Added[0].Meta, e.Deleted[1], e.VlogAdded[0], e.VlogSealed[0], e.VlogSynced[0], e.VlogMoved[0],
		e.KeyspacesAdded[0], e.KeyspacesChanged[1]} {
		r := reflect.ValueOf(v)
		for i := range r.NumField() {
			if name := r.Type().Field(i).Name; r.Field(i).IsZero() && name != "Compacting" {
				t.Errorf("%v.%s is not set", r.Type(), name)
			}
		}
	}
}

func TestUnknownFieldsAreSkippedOnlyIfOptional(t *testing.T) {
	meta := (&Edit{Added: []AddedTable{add(1, table(4, "a", "c", 1))}}).Encode(nil)
	extended := func(ext ...byte) []byte {
		b := append([]byte(nil), meta...)
		b[1] += byte(len(ext)) // the body's length
		return append(b, ext...)
	}
	for name, c := range map[string]struct {
		b     []byte
		field uint64 // of the FieldError; 0: none
		bad   bool
	}{
		"optional field":               {b: tagged(0x51, 1, 2, 3)},
		"mandatory field":              {b: tagged(0x50, 1, 2, 3), field: 0x50},
		"optional in a table":          {b: extended(0x51, 1, 9)},
		"mandatory in a table":         {b: extended(0x50, 1, 9), field: 0x50},
		"cut off in a table":           {b: extended(0x51, 2, 9), bad: true},
		"optional in a scalar":         {b: tagged(tagNextFile, 7, 0x51, 0)},
		"cut off":                      {b: []byte{0x51, 4, 1}, bad: true},
		"no length":                    {b: []byte{0x51}, bad: true},
		"level out of range":           {b: tagged(tagDeleted, 7, 1), bad: true},
		"unknown flag":                 {b: tagged(tagVlogSealed, 1, 1, 1, 1, 1, 2), bad: true},
		"scalar twice":                 {b: append(tagged(tagLastSeq, 1), tagged(tagLastSeq, 1)...), bad: true},
		"discards twice":               {b: append(tagged(tagDiscards), tagged(tagDiscards)...), bad: true},
		"discards not ascending":       {b: tagged(tagDiscards, 1, 1, 0, 1), bad: true},
		"keyspace beyond 32 bits":      {b: tagged(tagKeyspace, 0x80, 0x80, 0x80, 0x80, 0x10), bad: true},
		"new keyspace beyond 32 bits":  {b: tagged(tagKeyspaceAdded, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 0), bad: true},
		"optional in a keyspace":       {b: tagged(tagKeyspaceAdded, 3, 0, 1, 'a', 0, 0, 0x51, 1, 9)},
		"mandatory in a keyspace":      {b: tagged(tagKeyspaceAdded, 3, 0, 1, 'a', 0, 0, 0x50, 1, 9), field: 0x50},
		"unknown flag of a keyspace":   {b: tagged(tagKeyspaceAdded, 3, 2, 1, 'a', 0, 0), bad: true},
		"unknown flag of a change":     {b: tagged(tagKeyspaceChanged, 3, 4), bad: true},
		"next keyspace twice":          {b: append(tagged(tagNextKeyspace, 1), tagged(tagNextKeyspace, 1)...), bad: true},
		"number of more than 64 bits":  {b: tagged(tagNextFile, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), bad: true},
		"length beyond the input":      {b: []byte{tagAdded, 0xff, 0xff, 0xff, 0xff, 0x0f}, bad: true},
		"table without fixed-width id": {b: tagged(tagAdded, 0, 1, 1, 0, 0), bad: true},
	} {
		e, err := DecodeEdit(c.b)
		fe, isField := errors.AsType[*FieldError](err)
		switch {
		case c.bad && err != errMalformedEdit, c.field != 0 && (!isField || fe.Tag != c.field),
			!c.bad && c.field == 0 && (err != nil || e == nil):
			t.Errorf("%s: %v", name, err)
		}
	}
}
