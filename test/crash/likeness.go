package crash

import (
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"slices"

	"github.com/cordwood-db/cordwood/vfs"
)

// likeness tells apart images that have to be checked both: by their bytes, and
// by all that is asked of them but for how many commits they hold.
type likeness struct {
	bytes  uint64
	now    int64
	killed bool
	synced int // of one that a power loss may meet while it is recovered
	rest   string
	// Of what a power loss may then take away.
	unsynced string
}

func (c *Camera) likeness(i *Image) likeness {
	l := likeness{bytes: c.hash.tree(i.FS), now: i.Now, killed: i.Kind == "kill"}
	if l.killed {
		l.synced = i.Synced
		if i.unsettled() {
			l.synced = -1 - l.synced
		}
		l.unsynced = fmt.Sprint(i.FS.Unsynced())
	}
	for _, dir := range slices.Sorted(maps.Keys(i.Points)) {
		l.rest += fmt.Sprint(dir, i.Points[dir].Done)
	}
	for _, s := range i.Spaces {
		l.rest += fmt.Sprint(s)
	}
	return l
}

// narrow makes i hold to what is asked of another image with the same bytes. What
// of them is durable may have become more by then, so since stays.
func (i *Image) narrow(same *Image) {
	i.Lo, i.Hi = max(i.Lo, same.Lo), min(i.Hi, same.Hi)
	i.lo, i.hi = max(i.lo, same.lo), min(i.hi, same.hi)
}

// firstSight reports whether the checkpoint in an image, or what there is of it,
// has not been seen in another image that asks the same of it.
func (h *History) firstSight(i *Image, dir string, span Span) bool {
	var hash hasher
	hash.h.SetSeed(sightSeed)
	if _, err := i.FS.Stat(dir); err == nil {
		hash.dir(i.FS, dir)
	}
	like := fmt.Sprint(dir, hash.h.Sum64(), span.Lo, span.Hi, span.Done, i.Now, span.spaces)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sighted == nil {
		h.sighted = make(map[string]bool)
	}
	known := h.sighted[like]
	h.sighted[like] = true
	return !known
}

var sightSeed = maphash.MakeSeed()

// hasher hashes file systems.
type hasher struct {
	h   maphash.Hash
	buf [16 << 10]byte
}

// tree is a hash of all names and bytes of a file system.
func (h *hasher) tree(fs *vfs.Mem) uint64 {
	h.h.Reset()
	h.dir(fs, "")
	return h.h.Sum64()
}

// dir adds a directory. A file system in memory that is nobody else's has no
// errors; one would only make two images differ.
func (h *hasher) dir(fs *vfs.Mem, dir string) {
	files, err := fs.List(dir + "/")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		path := dir + "/" + f.Name
		fmt.Fprintln(&h.h, path, f.Size, f.IsDir)
		if f.IsDir {
			h.dir(fs, path)
		} else if err := h.file(fs, path); err != nil {
			panic(err)
		}
	}
}

func (h *hasher) file(fs *vfs.Mem, path string) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	for at := int64(0); ; {
		n, err := f.ReadAt(h.buf[:], at)
		_, _ = h.h.Write(h.buf[:n]) // never fails
		at += int64(n)
		if err == io.EOF {
			return f.Close()
		}
		if err != nil {
			return err
		}
	}
}
