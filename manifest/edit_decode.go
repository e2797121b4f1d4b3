package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cordwood-db/cordwood/internal/base"
)

var errMalformedEdit = errors.New("manifest: malformed edit")

// FieldError says that an edit has a field that this version of the software
// does not know, and that its writer has marked as one that must be known.
type FieldError struct {
	Tag uint64 // of the field
}

// Error implements error.
func (e *FieldError) Error() string {
	return fmt.Sprintf("manifest: edit has unknown mandatory field %d", e.Tag)
}

// DecodeEdit undoes [Edit.Encode]. The edit shares no memory with b. Fields
// that are unknown and optional are passed over; an unknown mandatory one gives
// a [FieldError]. Whether the edit makes sense is for [Set.Apply] to say.
func DecodeEdit(b []byte) (*Edit, error) {
	e := &Edit{}
	r := editDecoder{b: b}
	keyspace := uint32(0)
	for len(r.b) > 0 {
		tag := r.uint()
		body := editDecoder{b: r.bytes(), keyspace: keyspace}
		if r.bad {
			return nil, errMalformedEdit
		}
		if !body.field(e, tag) {
			if tag&tagOptional == 0 {
				return nil, &FieldError{tag}
			}
			continue
		}
		if body.bad {
			return nil, errMalformedEdit
		}
		keyspace = body.keyspace
		// What follows the fields of a body is an extension: tagged fields.
		if err := body.extension(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// editDecoder takes values off the front of b. The first one that is not
// there sets bad and leaves nothing to take.
type editDecoder struct {
	b   []byte
	bad bool

	keyspace uint32 // of tables
}

// field decodes the body of the field tag into e.
func (r *editDecoder) field(e *Edit, tag uint64) (known bool) {
	switch tag {
	case tagAdded:
		r.table(e)
	case tagDeleted:
		level := r.level()
		e.Deleted = append(e.Deleted, DeletedTable{level, r.file()})
	case tagVlogAdded:
		r.vlog(e)
	case tagVlogSealed:
		s := VlogSeal{r.file(), r.uint(), r.uint(), r.uint(), r.uint(), false}
		flags := r.flags(flagAllExpire)
		s.AllExpire = flags&flagAllExpire != 0
		e.VlogSealed = append(e.VlogSealed, s)
	case tagVlogSynced:
		e.VlogSynced = append(e.VlogSynced, VlogSync{r.file(), r.uint()})
	case tagVlogMoved:
		m := VlogMove{Logical: r.file(), From: r.file(), To: r.file(), ToID: r.uint64(),
			Bytes: r.uint(), DeadBytes: r.uint(), ExpiryMin: r.uint(), ExpiryMax: r.uint()}
		m.AllExpire = r.flags(flagAllExpire) != 0
		e.VlogMoved = append(e.VlogMoved, m)
	case tagVlogRemoved:
		e.VlogRemoved = append(e.VlogRemoved, r.file())
	case tagKeyspace:
		r.keyspace = r.uint32()
	case tagKeyspaceAdded:
		r.keyspaceAdded(e)
	case tagKeyspaceDropped:
		e.KeyspacesDropped = append(e.KeyspacesDropped, r.uint32())
	case tagKeyspaceRemoved:
		e.KeyspacesRemoved = append(e.KeyspacesRemoved, r.uint32())
	case tagKeyspaceChanged:
		r.keyspaceChanged(e)
	case tagMergeOperator:
		e.KeyspacesChanged = append(e.KeyspacesChanged, KeyspaceChange{MergeOperator: new(string(r.b))})
		r.b = nil
	case tagDiscards:
		r.discards(e)
	default:
		return r.scalar(e, tag)
	}
	return true
}

// scalar decodes the fields that an edit has at most once.
func (r *editDecoder) scalar(e *Edit, tag uint64) (known bool) {
	var again bool
	switch tag {
	case tagNextKeyspace:
		again = e.NextKeyspace != 0
		e.NextKeyspace = r.uint32()
	case tagNextFile:
		again = e.NextFile != 0
		e.NextFile = r.file()
	case tagMinSegment:
		again = e.MinSegment != nil
		e.MinSegment = new(base.SegmentNum(r.uint()))
	case tagMinSegmentID:
		again = e.MinSegmentID != 0
		e.MinSegmentID = r.uint64()
	case tagLastSeq:
		again = e.LastSeq != nil
		e.LastSeq = new(base.SeqNum(r.uint()))
	case tagExpiryHorizon:
		again = e.ExpiryHorizon != nil
		e.ExpiryHorizon = new(r.uint())
	default:
		return false
	}
	r.bad = r.bad || again
	return true
}

func (r *editDecoder) table(e *Edit) {
	t := &TableMeta{Keyspace: r.keyspace}
	level := r.level()
	t.Num, t.Size, t.ID = r.file(), r.uint(), r.uint64()
	t.LargestExclusive = r.flags(flagLargestExclusive) != 0
	// One allocation for both keys: there can be very many tables.
	smallest, largest := r.bytes(), r.bytes()
	keys := append(append(make([]byte, 0, len(smallest)+len(largest)), smallest...), largest...)
	t.Smallest = keys[:len(smallest):len(smallest)]
	t.Largest = keys[len(smallest):]
	t.SeqMin, t.SeqMax = base.SeqNum(r.uint()), base.SeqNum(r.uint())
	t.Entries, t.Deletes, t.Merges, t.RangeDels = r.uint(), r.uint(), r.uint(), r.uint()
	t.KeyBytes, t.ValueBytes, t.VlogBytes = r.uint(), r.uint(), r.uint()
	t.Expiring, t.ExpiryMin, t.ExpiryMax = r.uint(), r.uint(), r.uint()
	e.Added = append(e.Added, AddedTable{level, t})
}

func (r *editDecoder) keyspaceAdded(e *Edit) {
	ks := Keyspace{Num: r.uint32(), Dropped: r.flags(flagDropped) != 0}
	ks.Name, ks.MergeOperator = string(r.bytes()), string(r.bytes())
	if settings := r.bytes(); len(settings) > 0 {
		ks.Settings = bytes.Clone(settings)
	}
	e.KeyspacesAdded = append(e.KeyspacesAdded, ks)
}

func (r *editDecoder) keyspaceChanged(e *Edit) {
	kc := KeyspaceChange{Num: r.uint32()}
	flags := r.flags(flagOperator | flagSettings)
	if flags&flagOperator != 0 {
		kc.MergeOperator = new(string(r.bytes()))
	}
	if flags&flagSettings != 0 {
		kc.Settings = append([]byte{}, r.bytes()...) // empty is not nil
	}
	e.KeyspacesChanged = append(e.KeyspacesChanged, kc)
}

func (r *editDecoder) vlog(e *Edit) {
	m := VlogMeta{Logical: r.file(), Physical: r.file(), PhysicalID: r.uint64()}
	flags := r.flags(flagRewritten | flagSealed | flagAllExpire)
	m.Rewritten = flags&flagRewritten != 0
	m.Sealed = flags&flagSealed != 0
	m.AllExpire = flags&flagAllExpire != 0
	m.Bytes, m.Discarded, m.SyncedTo = r.uint(), r.uint(), r.uint()
	m.ExpiryMin, m.ExpiryMax = r.uint(), r.uint()
	e.VlogAdded = append(e.VlogAdded, m)
}

// discards takes the whole body: it has no extension.
func (r *editDecoder) discards(e *Edit) {
	if e.Discards != nil {
		r.bad = true
		return
	}
	e.Discards = make(map[base.FileNum]uint64)
	last := uint64(0)
	for len(r.b) > 0 && !r.bad {
		delta, bytes := r.uint(), r.uint()
		if delta == 0 || last+delta < last {
			r.bad = true
			return
		}
		last += delta
		e.Discards[base.FileNum(last)] = bytes
	}
}

// extension checks that what is left are fields that may be passed over.
func (r *editDecoder) extension() error {
	for len(r.b) > 0 {
		tag := r.uint()
		r.bytes()
		if r.bad {
			return errMalformedEdit
		}
		if tag&tagOptional == 0 {
			return &FieldError{tag}
		}
	}
	return nil
}

func (r *editDecoder) fail() {
	r.bad, r.b = true, nil
}

func (r *editDecoder) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *editDecoder) uint64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *editDecoder) uint32() uint32 {
	v := r.uint()
	if v > math.MaxUint32 {
		r.fail()
		return 0
	}
	return uint32(v)
}

func (r *editDecoder) file() base.FileNum { return base.FileNum(r.uint()) }

func (r *editDecoder) level() int {
	v := r.uint()
	if v >= NumLevels {
		r.fail()
		return 0
	}
	return int(v)
}

// bytes takes a length and as many bytes, which alias the input.
func (r *editDecoder) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

// flags takes a byte of which only the bits of known may be set. The others
// stay free for ever: what is new goes into an extension.
func (r *editDecoder) flags(known byte) byte {
	if len(r.b) == 0 || r.b[0]&^known != 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}
