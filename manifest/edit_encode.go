package manifest

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// An encoded edit is a run of fields:
//
//	uvarint  tag
//	uvarint  length of the body
//	body
//
// The lowest bit of a tag is set if a reader that does not know the field may
// pass over it. All tags below are part of the file format.
const (
	tagOptional = 1 // bit

	tagKeyspace      = 1 << 1 // of the tables that are added in fields after it
	tagAdded         = 2 << 1
	tagDeleted       = 3 << 1
	tagMinSegment    = 4 << 1
	tagLastSeq       = 5 << 1
	tagNextFile      = 6 << 1
	tagVlogAdded     = 7 << 1
	tagVlogSealed    = 8 << 1
	tagVlogSynced    = 9 << 1
	tagVlogMoved     = 10 << 1
	tagVlogRemoved   = 11 << 1
	tagDiscards      = 12 << 1
	tagExpiryHorizon = 13 << 1
	tagMergeOperator = 14 << 1 // of the default keyspace
	tagMinSegmentID  = 15<<1 | tagOptional

	tagKeyspaceAdded   = 16 << 1
	tagKeyspaceDropped = 17 << 1
	tagKeyspaceRemoved = 18 << 1
	tagKeyspaceChanged = 19 << 1
	tagNextKeyspace    = 20 << 1
)

// Flags in the bodies of fields. Part of the file format.
const (
	flagLargestExclusive = 1 << 0 // tables

	flagRewritten = 1 << 0 // value-log files
	flagSealed    = 1 << 1
	flagAllExpire = 1 << 2

	flagDropped = 1 << 0 // keyspaces

	flagOperator = 1 << 0 // changes of keyspaces: what they give
	flagSettings = 1 << 1
)

// editEncoder appends fields. The body of one field at a time is built apart,
// because its length comes first.
type editEncoder struct {
	dst, body []byte
}

// Encode appends the encoding of e to dst. Equal edits have equal encodings.
func (e *Edit) Encode(dst []byte) []byte {
	w := editEncoder{dst: dst}
	w.keyspaces(e)
	if e.NextFile != 0 {
		w.uints(tagNextFile, uint64(e.NextFile))
	}
	if e.MinSegment != nil {
		w.uints(tagMinSegment, uint64(*e.MinSegment))
	}
	if e.MinSegmentID != 0 {
		w.body = binary.LittleEndian.AppendUint64(w.body, e.MinSegmentID)
		w.field(tagMinSegmentID)
	}
	if e.LastSeq != nil {
		w.uints(tagLastSeq, uint64(*e.LastSeq))
	}
	if e.ExpiryHorizon != nil {
		w.uints(tagExpiryHorizon, *e.ExpiryHorizon)
	}
	for i := range e.KeyspacesChanged {
		w.keyspaceChange(&e.KeyspacesChanged[i])
	}
	for _, d := range e.Deleted {
		w.uints(tagDeleted, uint64(d.Level), uint64(d.Num))
	}
	keyspace := uint32(0)
	for _, a := range e.Added {
		if a.Meta.Keyspace != keyspace {
			keyspace = a.Meta.Keyspace
			w.uints(tagKeyspace, uint64(keyspace))
		}
		w.table(a)
	}
	for _, num := range e.KeyspacesRemoved {
		w.uints(tagKeyspaceRemoved, uint64(num))
	}
	w.vlogs(e)
	return w.dst
}

// keyspaces encodes which keyspaces come and go. These fields come first, so
// that software that knows one keyspace only stops at them.
func (w *editEncoder) keyspaces(e *Edit) {
	if e.NextKeyspace != 0 {
		w.uints(tagNextKeyspace, uint64(e.NextKeyspace))
	}
	for _, num := range e.KeyspacesDropped {
		w.uints(tagKeyspaceDropped, uint64(num))
	}
	for i := range e.KeyspacesAdded {
		ks := &e.KeyspacesAdded[i]
		w.append(uint64(ks.Num))
		w.body = append(w.body, bit(ks.Dropped, flagDropped))
		w.bytes(ks.Name)
		w.bytes(ks.MergeOperator)
		w.bytes(string(ks.Settings))
		w.field(tagKeyspaceAdded)
	}
}

func (w *editEncoder) keyspaceChange(kc *KeyspaceChange) {
	if kc.Num == 0 && kc.MergeOperator != nil && kc.Settings == nil {
		w.body = append(w.body, *kc.MergeOperator...)
		w.field(tagMergeOperator)
		return
	}
	w.append(uint64(kc.Num))
	w.body = append(w.body, bit(kc.MergeOperator != nil, flagOperator)|bit(kc.Settings != nil, flagSettings))
	if kc.MergeOperator != nil {
		w.bytes(*kc.MergeOperator)
	}
	if kc.Settings != nil {
		w.bytes(string(kc.Settings))
	}
	w.field(tagKeyspaceChanged)
}

// vlogs encodes what e says about the value log.
func (w *editEncoder) vlogs(e *Edit) {
	for i := range e.VlogAdded {
		w.vlog(&e.VlogAdded[i])
	}
	for _, s := range e.VlogSealed {
		w.append(uint64(s.Logical), s.Bytes, s.SyncedTo, s.ExpiryMin, s.ExpiryMax)
		w.body = append(w.body, bit(s.AllExpire, flagAllExpire))
		w.field(tagVlogSealed)
	}
	for _, s := range e.VlogSynced {
		w.uints(tagVlogSynced, uint64(s.Logical), s.To)
	}
	for _, m := range e.VlogMoved {
		w.append(uint64(m.Logical), uint64(m.From), uint64(m.To))
		w.body = binary.LittleEndian.AppendUint64(w.body, m.ToID)
		w.append(m.Bytes, m.DeadBytes, m.ExpiryMin, m.ExpiryMax)
		w.body = append(w.body, bit(m.AllExpire, flagAllExpire))
		w.field(tagVlogMoved)
	}
	if len(e.Discards) > 0 {
		w.discards(e.Discards)
	}
	for _, n := range e.VlogRemoved {
		w.uints(tagVlogRemoved, uint64(n))
	}
}

func (w *editEncoder) table(a AddedTable) {
	t := a.Meta
	w.append(uint64(a.Level), uint64(t.Num), t.Size)
	w.body = binary.LittleEndian.AppendUint64(w.body, t.ID)
	w.body = append(w.body, bit(t.LargestExclusive, flagLargestExclusive))
	w.append(uint64(len(t.Smallest)))
	w.body = append(w.body, t.Smallest...)
	w.append(uint64(len(t.Largest)))
	w.body = append(w.body, t.Largest...)
	w.append(uint64(t.SeqMin), uint64(t.SeqMax),
		t.Entries, t.Deletes, t.Merges, t.RangeDels, t.KeyBytes, t.ValueBytes, t.VlogBytes,
		t.Expiring, t.ExpiryMin, t.ExpiryMax)
	w.field(tagAdded)
}

func (w *editEncoder) vlog(m *VlogMeta) {
	w.append(uint64(m.Logical), uint64(m.Physical))
	w.body = binary.LittleEndian.AppendUint64(w.body, m.PhysicalID)
	w.body = append(w.body,
		bit(m.Rewritten, flagRewritten)|bit(m.Sealed, flagSealed)|bit(m.AllExpire, flagAllExpire))
	w.append(m.Bytes, m.Discarded, m.SyncedTo, m.ExpiryMin, m.ExpiryMax)
	w.field(tagVlogAdded)
}

// discards encodes the map as ascending pairs, each file number as the
// distance from the one before.
func (w *editEncoder) discards(d map[base.FileNum]uint64) {
	last := base.FileNum(0)
	for _, n := range slices.Sorted(maps.Keys(d)) {
		w.append(uint64(n-last), d[n])
		last = n
	}
	w.field(tagDiscards)
}

// uints writes a field whose body is a run of uvarints.
func (w *editEncoder) uints(tag uint64, vs ...uint64) {
	w.append(vs...)
	w.field(tag)
}

func (w *editEncoder) append(vs ...uint64) {
	for _, v := range vs {
		w.body = binary.AppendUvarint(w.body, v)
	}
}

// bytes appends a length and as many bytes.
func (w *editEncoder) bytes(s string) {
	w.append(uint64(len(s)))
	w.body = append(w.body, s...)
}

// field moves the body to the output, under tag.
func (w *editEncoder) field(tag uint64) {
	w.dst = binary.AppendUvarint(w.dst, tag)
	w.dst = binary.AppendUvarint(w.dst, uint64(len(w.body)))
	w.dst = append(w.dst, w.body...)
	w.body = w.body[:0]
}

func bit(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}
