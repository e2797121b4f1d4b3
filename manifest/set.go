package manifest

import (
	"cmp"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// RotateBytesDefault is what Options.RotateBytes 0 means.
const RotateBytesDefault = 4 << 20

// fileNumsReserved is how far ahead of the counter for file numbers the value
// in the MANIFEST is kept, so that numbers given out shortly before a crash
// are not given out again after it.
const fileNumsReserved = 256

// Options says how a Set works.
type Options struct {
	FS  vfs.FS
	Dir string // must exist

	// NewID returns a random number, not zero. Called under the Set's mutex.
	NewID func() uint64

	// RotateBytes is the size from which on a MANIFEST is replaced by a new
	// one, if it is also twice as long as a snapshot of the state.
	RotateBytes int64

	// Initial is the state that Create starts with; nil is an empty one. Load
	// ignores it.
	Initial *Edit

	// CheckFiles lets Load look whether every table and value-log file is
	// there and not too short.
	CheckFiles bool
}

// Set owns CURRENT, the MANIFEST, the newest version and the counters for file
// and sequence numbers. There must be one Set to a directory; the lock that
// sees to it is the engine's. Safe for concurrent use.
type Set struct {
	opts Options

	// Atomic.
	current      atomic.Pointer[Version]
	nextFile     atomic.Uint64
	nextKeyspace atomic.Uint64
	lastSeq      atomic.Uint64
	minSegment   atomic.Uint64
	minID        atomic.Uint64 // of minSegment
	durable      atomic.Bool   // CURRENT, MANIFEST and with them current are durable

	live liveness // has its own mutex, which is taken after mu

	mu sync.Mutex // held while an edit is written

	// Guarded by mu.
	catalog  *catalog
	log      *manifestLog // nil: the next edit starts a new MANIFEST
	reserved base.FileNum // file numbers below it are covered by the MANIFEST
	broken   error        // the first failure that forbids further edits
	closed   bool
	scratch  []byte // for encoding, kept from edit to edit
}

func newSet(opts Options) *Set {
	if opts.RotateBytes <= 0 {
		opts.RotateBytes = RotateBytesDefault
	}
	s := &Set{opts: opts, catalog: newCatalog()}
	s.live.files = make(map[FileRef]lifetime)
	s.nextKeyspace.Store(uint64(s.catalog.nextKeyspace))
	return s
}

// Create makes a new database: a MANIFEST and CURRENT, both durable, names
// included. The error is fs.ErrExist if there is one already, and
// *base.MissingFileError as with [Exists]. After a failure [Exists] may find a
// database, or none.
//
// It must come before the first WAL segment and the first value-log file: a
// crash in between must not leave files that look like a database without
// CURRENT.
func Create(opts Options) (*Set, error) {
	if err := checkVacant(opts); err != nil {
		return nil, err
	}
	s := newSet(opts)
	infos, err := opts.FS.List(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("manifest: list %s: %w", opts.Dir, err)
	}
	next := nextFileAbove(infos)
	if opts.Initial == nil {
		if err := removeFirstManifest(opts.FS, opts.Dir, next); err != nil {
			return nil, err
		}
		next = firstManifest
	}
	s.nextFile.Store(uint64(next))
	ch, err := s.catalog.check(cmp.Or(opts.Initial, &Edit{}), givenAny)
	if err != nil {
		return nil, err
	}
	s.catalog.commit(ch)
	v := s.catalog.version()
	if err := v.Check(); err != nil {
		return nil, err
	}
	raise(&s.nextFile, uint64(ch.nextFile))
	raise(&s.nextKeyspace, uint64(ch.nextKeyspace))
	if err := s.rotate(ch, v); err != nil {
		return nil, err
	}
	s.start(v)
	return s, nil
}

// checkVacant reports whether a database may be made in the directory. Tables
// and value-log files are in the way unless it starts with some: a checkpoint
// puts its files in place before it names them.
func checkVacant(opts Options) error {
	found, err := Exists(opts.FS, opts.Dir)
	if found {
		return fmt.Errorf("manifest: database in %s: %w", opts.Dir, iofs.ErrExist)
	}
	if _, ok := errors.AsType[*base.MissingFileError](err); ok && opts.Initial != nil {
		return nil
	}
	return err
}

// removeFirstManifest removes what a crash in Create has left. That the
// removal is durable too is not needed: a file of that name is created next.
func removeFirstManifest(fs vfs.FS, dir string, next base.FileNum) error {
	if next <= firstManifest {
		return nil
	}
	name := base.FileName(base.FileManifest, uint64(firstManifest))
	if err := fs.Remove(filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("manifest: remove %s: %w", name, err)
	}
	return nil
}

// nextFileAbove is a number above those of all numbered files of a directory
// but WAL segments, which have numbers of their own.
func nextFileAbove(infos []vfs.FileInfo) base.FileNum {
	next := firstManifest
	for _, info := range infos {
		switch kind, num := base.ParseFileName(info.Name); kind {
		case base.FileManifest, base.FileTable, base.FileVlog:
			// A number that no counter reaches is not ours.
			if num < fileNumMax {
				next = max(next, base.FileNum(num)+1)
			}
		}
	}
	return next
}

// start installs the first version, whose files are those of the catalog.
func (s *Set) start(v *Version) {
	added := make([]FileRef, 0, len(s.catalog.tables)+len(s.catalog.vlogs))
	for n := range s.catalog.tables {
		added = append(added, FileRef{base.FileTable, n})
	}
	for _, m := range s.catalog.vlogs {
		added = append(added, FileRef{base.FileVlog, m.Physical})
	}
	s.live.install(v, added, nil)
	s.publish(v)
}

// publish lets readers see v and what goes with it.
func (s *Set) publish(v *Version) {
	s.minSegment.Store(uint64(s.catalog.minSegment))
	s.minID.Store(s.catalog.minSegmentID)
	s.SetLastSeq(s.catalog.lastSeq)
	s.current.Store(v)
}

// Current returns the newest version with a reference that the caller gives
// back with Unref. It never waits and does not allocate.
func (s *Set) Current() *Version {
	for {
		// The version may lose its last reference between the two steps, but
		// only because a newer one is there.
		if v := s.current.Load(); v.TryRef() {
			return v
		}
	}
}

// NewFileNum gives out a file number, for a table, a value-log file or a
// MANIFEST. No number is given out twice, not even after a crash.
func (s *Set) NewFileNum() base.FileNum { return base.FileNum(s.nextFile.Add(1) - 1) }

// LastFileNum is the newest number that NewFileNum has given out, in the whole life of
// the database; 0 before the first.
func (s *Set) LastFileNum() base.FileNum { return base.FileNum(s.nextFile.Load() - 1) }

// NewKeyspaceNum gives out a keyspace number. No number that an edit has added
// is given out again, not even after a crash or once the keyspace is removed.
// Edits must add keyspaces in the order of their numbers: the caller holds a
// lock from here to the end of Apply, or calls this in Apply's prepare. When
// the numbers are used up, after four billion, what is given out is refused.
func (s *Set) NewKeyspaceNum() uint32 {
	return uint32(min(s.nextKeyspace.Add(1)-1, keyspaceNumMax))
}

// NextKeyspace is above all keyspace numbers that were given out: a lower one
// that the newest version does not have was removed, or never made it into an
// edit.
func (s *Set) NextKeyspace() uint32 { return uint32(min(s.nextKeyspace.Load(), keyspaceNumMax)) }

// raise sets a to at least to.
func raise(a *atomic.Uint64, to uint64) {
	for {
		old := a.Load()
		if old >= to || a.CompareAndSwap(old, to) {
			return
		}
	}
}

// LastSeq is a sequence number that no operation above has: at least that of
// every table, of every edit, and of every call of SetLastSeq.
func (s *Set) LastSeq() base.SeqNum { return base.SeqNum(s.lastSeq.Load()) }

// SetLastSeq raises LastSeq; a smaller number has no effect. The next edit
// makes it durable.
func (s *Set) SetLastSeq(seq base.SeqNum) { raise(&s.lastSeq, uint64(seq)) }

// MinSegment is the oldest WAL segment that recovery needs.
func (s *Set) MinSegment() base.SegmentNum { return base.SegmentNum(s.minSegment.Load()) }

// MinSegmentID is the random id of that segment's file, 0 if it is not known.
func (s *Set) MinSegmentID() uint64 { return s.minID.Load() }

// Durable reports whether a crash now would bring back the present version.
// After Load it may not be: the last edit may have been written but not
// synced, by a process that died. Nothing may be deleted on the strength of
// such a version, neither orphans nor WAL segments. Any successful Apply, also
// of an empty edit, makes it durable.
func (s *Set) Durable() bool { return s.durable.Load() }

// Failed is the error for which every edit is refused, or nil. It waits for an
// edit that is being written.
func (s *Set) Failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Obsolete returns the files that became obsolete since the last call. The
// caller removes them; if it cannot, the next open finds them as orphans.
func (s *Set) Obsolete() []ObsoleteFile {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	files := s.live.obsolete
	s.live.obsolete = nil
	return files
}

// LiveFiles returns the tables, physical value-log files and MANIFESTs that are
// in use: named by a referenced version, by an edit in doubt, or obsolete but
// not reported yet. Others in the directory are orphans, as long as nobody is
// making new ones. If durable is false they must not be removed: see Durable.
func (s *Set) LiveFiles() (files map[FileRef]struct{}, durable bool) {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	files = make(map[FileRef]struct{}, len(s.live.files))
	for f := range s.live.files {
		files[f] = struct{}{}
	}
	for _, v := range s.live.versions {
		for _, z := range v.zombies {
			files[z.file] = struct{}{}
		}
	}
	for _, list := range [][]FileRef{s.live.manifests, s.live.limbo, s.live.obsolete} {
		for _, f := range list {
			files[f] = struct{}{}
		}
	}
	return files, s.Durable()
}

// Close closes the MANIFEST. Versions stay usable. A second call does nothing.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.closeLog()
}
