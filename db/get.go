package db

import (
	"bytes"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vlog"
)

// Get returns the value of key in a slice of the caller's own, or ErrNotFound.
// An empty value is an empty slice that is not nil.
func (db *DB) Get(key []byte) ([]byte, error) {
	return db.AppendGet(nil, key)
}

// AppendGet appends the value of key to dst and returns the longer slice. With
// room enough in dst it allocates nothing. On an error, ErrNotFound among
// them, it returns dst as it was.
func (db *DB) AppendGet(dst, key []byte) ([]byte, error) {
	s, seq := db.acquire()
	if s == nil {
		return dst, ErrClosed
	}
	defer db.release(s)
	return db.appendGet(dst, s, seq, key)
}

// Has reports whether key has a value, without reading it from the value log.
func (db *DB) Has(key []byte) (bool, error) {
	s, seq := db.acquire()
	if s == nil {
		return false, ErrClosed
	}
	defer db.release(s)
	return db.has(s, seq, key)
}

// MultiGet returns the values of keys as of one moment. A key without a value
// has nil in its place; an empty value is not nil. Keys may repeat and come in
// any order.
func (db *DB) MultiGet(keys ...[]byte) ([][]byte, error) {
	s, seq := db.acquire()
	if s == nil {
		return nil, ErrClosed
	}
	defer db.release(s)
	return db.multiGet(s, seq, keys)
}

// lookup is the newest version of a key in a read state. It pins what its
// payload lies in until release.
type lookup struct {
	trailer base.Trailer
	payload []byte
	block   sstable.Result
}

func (l *lookup) release() { l.block.Release() }

// find looks key up, newest source first. found is false where the key has no
// version at or below seq; a version that a range delete covers counts as none.
func (db *DB) find(s *readState, seq base.SeqNum, key []byte, l *lookup) (found bool, err error) {
	covering, err := db.coveringSeq(s, seq, key)
	if err != nil {
		return false, err
	}
	if found, err = db.findVersion(s, covering, seq, key, l); err != nil || !found {
		return false, err
	}
	if l.trailer.SeqNum() < covering {
		l.release()
		return false, nil
	}
	return true, nil
}

// findVersion is find without range deletes. It may, but need not, find
// versions below floor.
func (db *DB) findVersion(s *readState, floor, seq base.SeqNum, key []byte, l *lookup) (found bool, err error) {
	for _, m := range s.mems {
		if l.trailer, l.payload, found = m.Get(key, seq); found {
			return true, nil
		}
	}
	hash := filter.Hash(key)
	for _, t := range s.version.Trees[0].Levels[0] {
		if t.SeqMax < floor || !t.Contains(key) {
			continue
		}
		if found, err = db.findInTable(t, seq, key, hash, l); err != nil || found {
			return found, err
		}
	}
	for level := 1; level < manifest.NumLevels; level++ {
		t := s.version.Trees[0].Find(level, key)
		if t == nil || t.SeqMax < floor {
			continue
		}
		if found, err = db.findInTable(t, seq, key, hash, l); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

func (db *DB) findInTable(t *manifest.TableMeta, seq base.SeqNum, key []byte, hash uint64, l *lookup) (bool, error) {
	h, err := db.tables.Get(t.Num, t.ID)
	if err != nil {
		return false, err
	}
	found, err := h.Lookup(key, hash, seq, &l.block)
	h.Release()
	if found {
		l.trailer, l.payload = l.block.Trailer, l.block.Payload
	}
	return found, err
}

// coveringSeq is the newest range delete at or below seq that covers key, or 0.
func (db *DB) coveringSeq(s *readState, seq base.SeqNum, key []byte) (base.SeqNum, error) {
	var newest base.SeqNum
	for _, m := range s.mems {
		if set := m.RangeDels(); !set.Empty() {
			newest = max(newest, set.CoveringSeq(key, seq))
		}
	}
	set, ok := s.tombs.cached()
	if !ok {
		var err error
		set, err = db.tableRangeDels(s, func(t *manifest.TableMeta) bool { return t.Contains(key) })
		if err != nil {
			return 0, err
		}
	}
	if !set.Empty() {
		newest = max(newest, set.CoveringSeq(key, seq))
	}
	return newest, nil
}

// appendGet appends the value of key at seq to dst.
func (db *DB) appendGet(dst []byte, s *readState, seq base.SeqNum, key []byte) ([]byte, error) {
	db.metrics.gets.Add(1)
	var l lookup
	found, err := db.find(s, seq, key, &l)
	if err != nil {
		return dst, err
	}
	if !found {
		return dst, ErrNotFound
	}
	defer l.release()
	return db.appendValue(dst, s, seq, key, &l)
}

// appendValue appends to dst the value that the version l stands for.
func (db *DB) appendValue(dst []byte, s *readState, seq base.SeqNum, key []byte, l *lookup) ([]byte, error) {
	kind := l.trailer.Kind()
	expiry, value, err := base.SplitPayload(kind, l.payload)
	if err != nil {
		return dst, payloadError(key, l.trailer, err)
	}
	if kind.HasExpiry() && expiry <= db.now(s.version) {
		return dst, ErrNotFound
	}
	switch kind.Op() {
	case base.KindSet:
		if dst == nil {
			dst = make([]byte, 0, len(value))
		}
		return append(dst, value...), nil
	case base.KindSetPointer:
		return db.readPointer(dst, s, key, l.trailer.SeqNum(), value)
	case base.KindMerge:
		return db.appendMerged(dst, s, seq, key, db.now(s.version))
	}
	return dst, ErrNotFound
}

// readPointer appends to dst the value that an encoded pointer names.
func (db *DB) readPointer(dst []byte, s *readState, key []byte, seq base.SeqNum, enc []byte) ([]byte, error) {
	ptr, err := base.DecodePointer(enc)
	if err != nil {
		return dst, payloadError(key, base.MakeTrailer(seq, base.KindSetPointer), err)
	}
	meta := s.version.Vlog(ptr.File)
	if meta == nil {
		return dst, base.Corruptf(base.FileName(base.FileVlog, uint64(ptr.File)), int64(ptr.Offset),
			"a pointer names this file, the MANIFEST does not")
	}
	if dst == nil {
		dst = make([]byte, 0, ptr.ValueLen)
	}
	return db.values.Read(dst, location(meta), 0, key, seq, ptr)
}

// location says where a logical value-log file is.
func location(meta *manifest.VlogMeta) vlog.Location {
	return vlog.Location{Physical: meta.Physical, ID: meta.PhysicalID, Rewritten: meta.Rewritten}
}

// payloadError is for an entry that passed its checksums and makes no sense.
func payloadError(key []byte, trailer base.Trailer, err error) error {
	return &CorruptionError{File: "entry " + base.InternalKey{User: key, Trailer: trailer}.String(),
		Offset: -1, Reason: "malformed payload", Err: err}
}

// has is Has at seq.
func (db *DB) has(s *readState, seq base.SeqNum, key []byte) (bool, error) {
	var l lookup
	found, err := db.find(s, seq, key, &l)
	if err != nil || !found {
		return false, err
	}
	defer l.release()
	kind := l.trailer.Kind()
	expiry, _, err := base.SplitPayload(kind, l.payload)
	if err != nil {
		return false, payloadError(key, l.trailer, err)
	}
	if kind.HasExpiry() && expiry <= db.now(s.version) {
		return false, nil
	}
	return kind.Op() != base.KindDelete, nil
}

// multiGet is MultiGet at seq.
func (db *DB) multiGet(s *readState, seq base.SeqNum, keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	order := sortedOrder(keys)
	for i, k := range order {
		if i > 0 && bytes.Equal(keys[k], keys[order[i-1]]) {
			values[k] = bytes.Clone(values[order[i-1]])
			continue
		}
		value, err := db.appendGet(nil, s, seq, keys[k])
		switch err {
		case nil:
			values[k] = value
		case ErrNotFound:
		default:
			return nil, err
		}
	}
	return values, nil
}

// sortedOrder is the order in which keys ascend, as indexes.
func sortedOrder(keys [][]byte) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(keys[a], keys[b]) })
	return order
}
