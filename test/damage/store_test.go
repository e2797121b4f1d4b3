package damage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// The kinds of files, by what they are for. They are the columns of the table
// in docs/damage.md.
const (
	roleCurrent   = "CURRENT"
	roleManifest  = "MANIFEST"
	roleLock      = "LOCK"
	roleActive    = "WAL, newest"
	roleClosed    = "WAL, closed"
	roleRetained  = "WAL, kept for feeds"
	roleTable     = "table"
	roleGrowing   = "value log, growing"
	roleSealed    = "value log, sealed"
	roleRewritten = "value log, rewritten"
)

// roleLeftover is a file that nothing names any more, and nobody has removed
// yet. It may be there or not; damage to it is nothing.
const roleLeftover = "left over"

// Roles are the kinds of files.
var Roles = []string{roleCurrent, roleManifest, roleLock, roleActive, roleClosed, roleRetained,
	roleTable, roleGrowing, roleSealed, roleRewritten}

// File is a file of an undamaged store. Don't change its data.
type File struct {
	Name string
	Role string
	Data []byte
	// Needs are the keys whose reads need the file: others must not suffer
	// from damage to it. nil if Open itself needs it.
	Needs map[string]bool
}

// Store is an undamaged store. Immutable once it is built.
type Store struct {
	Name  string
	FS    *vfs.Mem   // don't change it: KillClone it
	Older []*vfs.Mem // the same files some writes earlier
	Files []*File    // by name
	// States are what the store held after the commits that are in its log,
	// [0] before the first of them; the last one is what it holds.
	//
	// The end of a log cannot be told from a torn write once nothing behind it
	// proves that it was durable: if the last record and the proof behind it
	// are both gone or damaged, an earlier state is what a power loss could
	// have left. A damaged record with any whole one behind it is no such case.
	States []*View
	Live   int // commits that only the log holds

	Feed      []change // what a feed delivers
	FeedAfter uint64   // that resumes here

	scale  int
	old    bool     // of an older version: see oldStores
	log    []record // of the live segments
	byName map[string]*File
}

// Want is what the store holds.
func (s *Store) Want() *View { return s.States[len(s.States)-1] }

// options open the store on fsys.
func (s *Store) options(fsys vfs.FS) db.Options {
	if s.old {
		return oldOptions(fsys)
	}
	return Options(fsys, s.scale)
}

// learn fills in what the files say.
func (s *Store) learn() error {
	files, err := contents(s.FS, dir)
	if err != nil {
		return err
	}
	s.byName = make(map[string]*File)
	for _, name := range sortedNames(files) {
		f := &File{Name: name, Data: files[name]}
		s.Files = append(s.Files, f)
		s.byName[name] = f
	}
	if err := s.readLog(); err != nil {
		return err
	}
	for _, f := range s.Files {
		if err := s.setRole(f); err != nil {
			return err
		}
		if err := s.findNeeds(f); err != nil {
			return err
		}
	}
	return nil
}

// setRole finds out what a file is for.
func (s *Store) setRole(f *File) error {
	const flagsAt, rewritten = 12, 1
	switch {
	case f.Name == "CURRENT":
		f.Role = roleCurrent
	case f.Name == "LOCK":
		f.Role = roleLock
	case strings.HasPrefix(f.Name, "MANIFEST-"):
		f.Role = roleManifest
	case strings.HasSuffix(f.Name, ".sst"):
		f.Role = roleTable
	case strings.HasSuffix(f.Name, ".vlog"):
		f.Role = roleSealed
		if binary.LittleEndian.Uint32(f.Data[flagsAt:])&rewritten != 0 {
			f.Role = roleRewritten
		}
	case strings.HasSuffix(f.Name, ".wal"):
		f.Role = roleRetained
		if first := s.liveFrom(); first != "" && f.Name >= first {
			f.Role = roleClosed
		}
		if f.Name == s.newestSegment() {
			f.Role = roleActive
		}
	default:
		return fmt.Errorf("unknown file %s", f.Name)
	}
	return nil
}

// findNeeds finds out what does not work while a file cannot be opened.
func (s *Store) findNeeds(f *File) error {
	if f.Role != roleTable && f.Role != roleSealed && f.Role != roleRewritten {
		return nil
	}
	if needed, err := s.needed(f); err != nil || !needed {
		f.Role = roleLeftover
		return err
	}
	fsys := s.FS.KillClone()
	fsys.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen && filepath.Base(op.Path) == f.Name {
			return fs.ErrPermission
		}
		return nil
	})
	opts := s.options(fsys)
	opts.ReadOnly = true
	store, err := db.Open(dir, &opts)
	if errors.Is(err, fs.ErrPermission) {
		if f.Role == roleSealed {
			f.Role = roleGrowing // recovery looks for its end
		}
		return nil
	}
	if err != nil {
		return err
	}
	f.Needs = make(map[string]bool)
	err = s.eachSpace(store, s.Want(), func(r db.Reader, v *View) error {
		for _, k := range v.probes {
			if _, err := r.Get([]byte(k)); errors.Is(err, fs.ErrPermission) {
				f.Needs[k] = true
			}
		}
		return nil
	})
	return errors.Join(err, store.Close())
}

// needed reports whether the store does not open without a file.
func (s *Store) needed(f *File) (bool, error) {
	fsys := s.FS.KillClone()
	if err := fsys.Remove(filepath.Join(dir, f.Name)); err != nil {
		return false, err
	}
	opts := s.options(fsys)
	opts.ReadOnly = true
	store, err := db.Open(dir, &opts)
	if err != nil {
		return true, nil
	}
	return false, store.Close()
}

// eachSpace calls fn for both keyspaces.
func (s *Store) eachSpace(store *db.DB, v *View, fn func(db.Reader, *View) error) error {
	ks, err := s.side(store)
	if err != nil {
		return err
	}
	if err := fn(store, v.main); err != nil || s.old {
		return err
	}
	if err := fn(ks, v.side); err != nil {
		return fmt.Errorf("keyspace %q: %w", sideName, err)
	}
	return nil
}

// side opens the keyspace sideName. There was none in older versions.
func (s *Store) side(store *db.DB) (*db.Keyspace, error) {
	if s.old {
		return store.Default(), nil
	}
	return store.Keyspace(sideName, &db.KeyspaceOptions{Merge: db.Append(), MustExist: true})
}
