package db

import (
	"slices"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
)

// deadLists know which records of the value log have lost their pointer. With
// the list of a file at hand, collecting it needs no lookup in the tree. Lists
// live in memory only: after a restart, or where one has become too long, a
// collection looks its records up.
type deadLists struct {
	mu    sync.Mutex
	files map[base.FileNum]*deadList // by logical file
	total int                        // of offsets
	max   int                        // of offsets in all lists
}

// deadList belongs to one logical file.
type deadList struct {
	offsets []uint32 // in no order
	// complete says that every record that is not in offsets, or was left out
	// by a collection, has its pointer in the tree.
	complete bool
}

// deadOffsetBytes is the memory that one record in a list takes.
const deadOffsetBytes = 4

// begin starts a list for a file that has no records yet.
func (d *deadLists) begin(file base.FileNum) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = make(map[base.FileNum]*deadList)
	}
	d.files[file] = &deadList{complete: true}
}

// add takes in pointers whose loss has become visible.
func (d *deadLists) add(dropped []base.Pointer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range dropped {
		l := d.files[p.File]
		if l == nil || !l.complete {
			continue
		}
		if d.total >= d.max {
			d.forgetLocked(p.File)
			continue
		}
		l.offsets = append(l.offsets, p.Offset)
		d.total++
	}
}

// forget gives the list of a file up: something in the file is dead that the
// list does not know, or the file is gone.
func (d *deadLists) forget(file base.FileNum) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetLocked(file)
}

func (d *deadLists) forgetLocked(file base.FileNum) {
	if l := d.files[file]; l != nil {
		d.total -= len(l.offsets)
		delete(d.files, file)
	}
}

// take hands over the list of a file for a collection, sorted. What dies from
// now on goes to a new list. complete is false if there is none to go by.
func (d *deadLists) take(file base.FileNum) (offsets []uint32, complete bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.files[file]
	if l == nil || !l.complete {
		return nil, false
	}
	offsets = l.offsets
	l.offsets = nil
	d.total -= len(offsets)
	slices.Sort(offsets)
	return offsets, true
}

// giveBack undoes take for a collection that failed.
func (d *deadLists) giveBack(file base.FileNum, offsets []uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.files[file]; l != nil {
		l.offsets = append(l.offsets, offsets...)
		d.total += len(offsets)
	}
}
