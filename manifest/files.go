package manifest

import (
	"slices"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
)

// FileRef names a file of the database directory.
type FileRef struct {
	Kind base.FileKind // FileTable, FileVlog or FileManifest
	Num  base.FileNum
}

// ObsoleteFile is a file that nothing needs any more.
type ObsoleteFile = FileRef

// liveness knows which files some version needs.
//
// Counting the files of every version would cost O(files) per edit. Instead a
// file is looked at twice in its life. When an edit takes it out of the newest
// version it becomes a zombie, and is hung on the newest version that holds it,
// which is the one before the edit. When a version is released, its zombies go
// to the next older live version that holds them, or are obsolete if there is
// none. A file is in the versions from its birth on without a gap, so comparing
// serial numbers is enough.
type liveness struct {
	mu sync.Mutex

	// Guarded by mu.
	versions  []*Version           // not released, ascending by serial
	files     map[FileRef]lifetime // named by the newest version
	manifests []FileRef            // that CURRENT may name after a crash
	limbo     []FileRef            // named by an edit of unknown fate
	obsolete  []FileRef            // not reported yet
}

// lifetime is the birth of a file in the newest version, and by how many
// tables (one) or logical value-log files it is named.
type lifetime struct {
	born  uint64 // serial of the first version with the file
	names int
}

// zombie is a file that newer versions do not name any more.
type zombie struct {
	file FileRef
	born uint64
}

// install makes v the newest version, its only reference being the Set's.
// added and removed list one entry per name given or taken.
func (l *liveness) install(v *Version, added, removed []FileRef) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v.owner = l
	v.refs.Store(1)
	for _, f := range added {
		life, ok := l.files[f]
		if !ok {
			life.born = v.serial
		}
		life.names++
		l.files[f] = life
	}
	for _, f := range removed {
		life := l.files[f]
		if life.names--; life.names > 0 {
			l.files[f] = life
			continue
		}
		delete(l.files, f)
		// The version before v is still here: the Set lets go of it later.
		newest := l.versions[len(l.versions)-1]
		newest.zombies = append(newest.zombies, zombie{f, life.born})
	}
	l.versions = append(l.versions, v)
}

// release forgets a version that lost its last reference.
func (l *liveness) release(v *Version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.versions, v.serial, func(o *Version, serial uint64) int {
		switch {
		case o.serial < serial:
			return -1
		case o.serial > serial:
			return 1
		}
		return 0
	})
	l.versions = slices.Delete(l.versions, i, i+1)
	for _, z := range v.zombies {
		if i > 0 && l.versions[i-1].serial >= z.born {
			older := l.versions[i-1]
			older.zombies = append(older.zombies, z)
		} else {
			l.obsolete = append(l.obsolete, z.file)
		}
	}
	v.zombies = nil
}

// doubt notes that an edit which adds files is of unknown fate.
func (l *liveness) doubt(added []FileRef) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range added {
		// One that is there already, such as a table that changes its level,
		// lives on whatever becomes of the edit.
		if _, ok := l.files[f]; !ok && !slices.Contains(l.limbo, f) {
			l.limbo = append(l.limbo, f)
		}
	}
}

// checkDoubts refuses an edit that adds files of one of unknown fate: they are
// on their way to being obsolete.
func (l *liveness) checkDoubts(added []FileRef) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range added {
		if slices.Contains(l.limbo, f) {
			return editErrorf("file %d was part of an edit of unknown fate", f.Num)
		}
	}
	return nil
}

// addManifest notes that CURRENT may name one more MANIFEST after a crash.
func (l *liveness) addManifest(num base.FileNum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.manifests = append(l.manifests, FileRef{base.FileManifest, num})
}

// settle notes that CURRENT names a certain MANIFEST, come what may. What
// other MANIFESTs name has no meaning any more.
func (l *liveness) settle(num base.FileNum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.obsolete = append(append(l.obsolete, l.manifests...), l.limbo...)
	l.manifests = []FileRef{{base.FileManifest, num}}
	l.limbo = nil
}
