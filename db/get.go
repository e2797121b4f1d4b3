package db

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vlog"
)

// reader is from where, and as of when, one keyspace is read.
type reader struct {
	db  *DB
	ks  *Keyspace
	s   *readState // whose reference is its maker's
	v   *treeView  // of ks in s
	seq base.SeqNum
	own *ownWrites // of a transaction, else nil
}

// reader reads ks as of now. The caller gives the reference back with release.
func (ks *Keyspace) reader() (reader, error) {
	s, seq := ks.db.acquire()
	if s == nil {
		return reader{}, ErrClosed
	}
	return ks.readerAt(s, seq)
}

// readerAt reads ks from s, whose reference it takes over, as of seq.
func (ks *Keyspace) readerAt(s *readState, seq base.SeqNum) (reader, error) {
	v := s.view(ks.num)
	if v == nil {
		ks.db.release(s)
		return reader{}, ks.droppedErr()
	}
	return reader{db: ks.db, ks: ks, s: s, v: v, seq: seq}, nil
}

func (r *reader) release() { r.db.release(r.s) }

// Get returns the value of key in a slice of the caller's own, or ErrNotFound.
// An empty value is an empty slice that is not nil.
func (ks *Keyspace) Get(key []byte) ([]byte, error) {
	return ks.AppendGet(nil, key)
}

// AppendGet appends the value of key to dst and returns the longer slice. With
// room enough in dst it allocates nothing. On an error, ErrNotFound among
// them, it returns dst as it was.
func (ks *Keyspace) AppendGet(dst, key []byte) ([]byte, error) {
	r, err := ks.reader()
	if err != nil {
		return dst, err
	}
	defer r.release()
	return r.appendGet(dst, key)
}

// Has reports whether key has a value, without reading it from the value log.
func (ks *Keyspace) Has(key []byte) (bool, error) {
	r, err := ks.reader()
	if err != nil {
		return false, err
	}
	defer r.release()
	return r.has(key)
}

// MultiGet returns the values of keys as of one moment. A key without a value
// has nil in its place; an empty value is not nil. Keys may repeat and come in
// any order. Values in the value log are read in the order of the disk,
// neighbours together. An error is that of some key: there are no values then.
func (ks *Keyspace) MultiGet(keys ...[]byte) ([][]byte, error) {
	r, err := ks.reader()
	if err != nil {
		return nil, err
	}
	defer r.release()
	return r.multiGet(keys)
}

// Get is [Keyspace.Get] of the default keyspace.
func (db *DB) Get(key []byte) ([]byte, error) { return db.main.AppendGet(nil, key) }

// AppendGet is [Keyspace.AppendGet] of the default keyspace.
func (db *DB) AppendGet(dst, key []byte) ([]byte, error) { return db.main.AppendGet(dst, key) }

// Has is [Keyspace.Has] of the default keyspace.
func (db *DB) Has(key []byte) (bool, error) { return db.main.Has(key) }

// MultiGet is [Keyspace.MultiGet] of the default keyspace.
func (db *DB) MultiGet(keys ...[]byte) ([][]byte, error) { return db.main.MultiGet(keys...) }

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
func (r *reader) find(key []byte, l *lookup) (found bool, err error) {
	covering, err := r.coveringSeq(key)
	if err != nil {
		return false, err
	}
	if found, err = r.findVersion(covering, key, l); err != nil || !found {
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
func (r *reader) findVersion(floor base.SeqNum, key []byte, l *lookup) (found bool, err error) {
	for _, m := range r.v.mems {
		if l.trailer, l.payload, found = m.Get(key, r.seq); found {
			return true, nil
		}
	}
	hash := filter.Hash(key)
	for _, t := range r.v.tree.Levels[0] {
		if t.SeqMax < floor || !t.Contains(key) {
			continue
		}
		if found, err = r.db.findInTable(t, r.seq, key, hash, l); err != nil || found {
			return found, err
		}
	}
	for level := 1; level < manifest.NumLevels; level++ {
		t := r.v.tree.Find(level, key)
		if t == nil || t.SeqMax < floor {
			continue
		}
		if found, err = r.db.findInTable(t, r.seq, key, hash, l); err != nil || found {
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
func (r *reader) coveringSeq(key []byte) (base.SeqNum, error) {
	var newest base.SeqNum
	for _, m := range r.v.mems {
		if set := m.RangeDels(); !set.Empty() {
			newest = max(newest, set.CoveringSeq(key, r.seq))
		}
	}
	set, ok := r.v.tombs.cached()
	if !ok {
		var err error
		set, err = r.db.tableRangeDels(r.v, func(t *manifest.TableMeta) bool { return t.Contains(key) })
		if err != nil {
			return 0, err
		}
	}
	if !set.Empty() {
		newest = max(newest, set.CoveringSeq(key, r.seq))
	}
	return newest, nil
}

// appendGet appends the value of key to dst.
func (r *reader) appendGet(dst, key []byte) ([]byte, error) {
	r.db.metrics.gets.Add(1)
	var l lookup
	found, err := r.find(key, &l)
	if err != nil {
		return dst, err
	}
	if !found {
		return dst, ErrNotFound
	}
	defer l.release()
	return r.appendValue(dst, key, &l)
}

// appendValue appends to dst the value that the version l stands for.
func (r *reader) appendValue(dst []byte, key []byte, l *lookup) ([]byte, error) {
	kind := l.trailer.Kind()
	expiry, value, err := base.SplitPayload(kind, l.payload)
	if err != nil {
		return dst, payloadError(key, l.trailer, err)
	}
	if kind.HasExpiry() && expiry <= r.db.now(r.s.version) {
		return dst, ErrNotFound
	}
	switch kind.Op() {
	case base.KindSet:
		if dst == nil {
			dst = make([]byte, 0, len(value))
		}
		return append(dst, value...), nil
	case base.KindSetPointer:
		return r.readPointer(dst, key, l.trailer.SeqNum(), value)
	case base.KindMerge:
		return r.appendMerged(dst, key, r.db.now(r.s.version))
	}
	return dst, ErrNotFound
}

// readPointer appends to dst the value that an encoded pointer names.
func (r *reader) readPointer(dst []byte, key []byte, seq base.SeqNum, enc []byte) ([]byte, error) {
	if r.own != nil && isOwn(seq) {
		return r.readOwn(dst, enc)
	}
	ptr, err := base.DecodePointer(enc)
	if err != nil {
		return dst, payloadError(key, base.MakeTrailer(seq, base.KindSetPointer), err)
	}
	return r.db.readValue(dst, r.s.version, r.ks.num, key, seq, ptr)
}

// readValue appends to dst the value that a pointer of a keyspace names.
func (db *DB) readValue(dst []byte, v *manifest.Version, keyspace uint32, key []byte, seq base.SeqNum, ptr base.Pointer) ([]byte, error) {
	meta := v.Vlog(ptr.File)
	if meta == nil {
		return dst, danglingPointer(ptr)
	}
	if dst == nil {
		dst = make([]byte, 0, ptr.ValueLen)
	}
	return db.values.Read(dst, location(meta), keyspace, key, seq, ptr)
}

// danglingPointer is the error of a pointer into a file that is not there.
func danglingPointer(ptr base.Pointer) error {
	return base.Corruptf(base.FileName(base.FileVlog, uint64(ptr.File)), int64(ptr.Offset),
		"a pointer names this file, the MANIFEST does not")
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

// has reports whether key has a value.
func (r *reader) has(key []byte) (bool, error) {
	var l lookup
	found, err := r.find(key, &l)
	if err != nil || !found {
		return false, err
	}
	defer l.release()
	kind := l.trailer.Kind()
	expiry, _, err := base.SplitPayload(kind, l.payload)
	if err != nil {
		return false, payloadError(key, l.trailer, err)
	}
	if kind.HasExpiry() && expiry <= r.db.now(r.s.version) {
		return false, nil
	}
	return kind.Op() != base.KindDelete, nil
}
