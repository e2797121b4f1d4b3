package vfs

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// CrashChoice is what becomes of one un-synced item.
type CrashChoice uint8

const (
	// CrashDrop loses the item.
	CrashDrop CrashChoice = iota
	// CrashKeep lets it reach the disk.
	CrashKeep
	// CrashTear lets a part of it reach the disk: of a sector, a prefix of the
	// new bytes; of a size, something between what CrashDrop and CrashKeep
	// give. What cannot tear (names, shrinkings) is kept. Where the cut is
	// looks random but is the same whenever the history is the same.
	CrashTear
)

const (
	// CrashSizeIndex is the Index of the item that decides a file's size.
	CrashSizeIndex = -1
	// CrashShrinkIndex is the Index of the item that decides a file's first
	// un-synced shrinking; those of further ones count down from it.
	CrashShrinkIndex = -2
)

// CrashItem is something whose fate a crash decides. Items are comparable and
// unique at a given moment.
type CrashItem struct {
	// Path is where the file was put last, be it gone since; for a directory
	// operation it is the directory (the new one, if a rename crosses two).
	Path string
	Dir  bool // a directory operation
	// Index is a sector's number in a file (see also CrashSizeIndex and
	// CrashShrinkIndex) or counts a directory's operations from 0, oldest first.
	Index int
	// Node tells apart files that have had the same path.
	Node uint64
	// What describes the item: "sector", "size", "shrink", or the operation,
	// such as "rename a -> b".
	What string
}

// String returns a description for a test's failure message.
func (c CrashItem) String() string {
	if c.Dir || c.Index < 0 {
		return fmt.Sprintf("%s: %s (#%d)", c.Path, c.What, c.Index)
	}
	return fmt.Sprintf("%s: %s %d", c.Path, c.What, c.Index)
}

// CrashClone returns an independent file system that holds what a power loss
// at this moment may leave: everything synced, and of the rest what pick keeps;
// doc.go says precisely which images there are. pick is called once for each
// item that Unsynced lists, in that order; it must not use m. A nil pick drops
// everything. All that the clone holds is durable; it has m's capacity, no
// hook, and nothing is open or locked in it.
func (m *Mem) CrashClone(pick func(CrashItem) CrashChoice) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	img := &image{m: m, names: map[*inode]map[string]*inode{}, files: map[*inode]content{}}
	for _, n := range m.unsyncedFiles() {
		plan := m.planFile(n, pick)
		img.files[n] = plan.build(&n.file, uint64(m.ops.Load())<<32^n.num)
	}
	chosen := m.planNames(pick)
	for i, op := range m.pending {
		if len(chosen) > 0 && chosen[i] {
			img.try(op)
		}
	}
	return img.instantiate()
}

// Unsynced returns the items that a crash at this moment would decide: of each
// file, oldest file first, its shrinkings, its size and its sectors; then the
// directory operations, oldest first.
func (m *Mem) Unsynced() []CrashItem {
	m.mu.Lock()
	defer m.mu.Unlock()
	var items []CrashItem
	collect := func(c CrashItem) CrashChoice {
		items = append(items, c)
		return CrashDrop
	}
	for _, n := range m.unsyncedFiles() {
		m.planFile(n, collect)
	}
	m.planNames(collect)
	return items
}

// unsyncedFiles returns the files that are not clean and that a crash may leave
// under some name, oldest first, and forgets the others.
func (m *Mem) unsyncedFiles() []*inode {
	files := make([]*inode, 0, len(m.unsynced))
	for n := range m.unsynced {
		switch {
		case n.links > 0 || n.pending > 0:
			files = append(files, n)
		case n.handles == 0:
			delete(m.unsynced, n)
		}
	}
	slices.SortFunc(files, func(a, b *inode) int { return cmp.Compare(a.num, b.num) })
	return files
}

// pathOf returns where n is, or was last.
func (m *Mem) pathOf(n *inode) string {
	var names []string
	for ; n.parent != nil; n = n.parent {
		names = append(names, n.name)
	}
	slices.Reverse(names)
	return filepath.FromSlash("/" + strings.Join(names, "/"))
}

// filePlan says what a crash does to a file.
type filePlan struct {
	epoch   int // how many shrinkings reached the disk
	size    CrashChoice
	sectors []int64       // ascending; nil: all are dropped
	choices []CrashChoice // of the sectors
}

// planFile asks pick about a file's items. Shrinkings reach the disk in order:
// the first that is dropped takes the later ones along. Sectors are asked about
// once, whichever side of a shrinking they were written on.
func (m *Mem) planFile(n *inode, pick func(CrashItem) CrashChoice) filePlan {
	var plan filePlan
	if pick == nil {
		return plan
	}
	f := &n.file
	item := CrashItem{Path: m.pathOf(n), Node: n.num, What: "shrink", Index: CrashShrinkIndex}
	dropped, sizeOpen := false, f.size != f.durableSize
	for i := range f.past {
		dropped = pick(item) == CrashDrop || dropped
		if !dropped {
			plan.epoch++
		}
		item.Index--
		sizeOpen = sizeOpen || f.past[i].size != f.past[i].durableSize
	}
	if sizeOpen {
		item.What, item.Index = "size", CrashSizeIndex
		plan.size = pick(item)
	}
	plan.sectors = f.dirtySectors()
	plan.choices = make([]CrashChoice, len(plan.sectors))
	item.What = "sector"
	for i, s := range plan.sectors {
		item.Index = int(s)
		plan.choices[i] = pick(item)
	}
	return plan
}

// dirtySectors returns the sectors that are dirty in any epoch, ascending.
func (f *fileState) dirtySectors() []int64 {
	all := make([]int64, 0, len(f.dirty))
	for _, d := range f.dirty {
		all = append(all, d.index)
	}
	for _, p := range f.past {
		for _, d := range p.dirty {
			all = append(all, d.index)
		}
	}
	if len(f.past) > 0 {
		slices.Sort(all)
		all = slices.Compact(all)
	}
	return all
}

// choice returns what becomes of a sector.
func (p *filePlan) choice(s int64) CrashChoice {
	if i, ok := slices.BinarySearch(p.sectors, s); ok {
		return p.choices[i]
	}
	return CrashDrop
}

// build returns the bytes that the plan leaves of f.
func (p *filePlan) build(f *fileState, seed uint64) content {
	e := &f.epoch
	if p.epoch < len(f.past) {
		e = &f.past[p.epoch]
	}
	img := e.share()
	low := e.durableSize
	if p.sectors != nil {
		for _, d := range slices.Backward(e.dirty) {
			if p.choice(d.index) != CrashDrop {
				low = max(low, min((d.index+1)*sectorBytes, e.size))
				break
			}
		}
	}
	switch p.size {
	case CrashKeep:
		low = e.size
	case CrashTear:
		low += int64(scramble(seed) % uint64(e.size-low+1))
	}
	img.truncate(low)
	for _, d := range e.dirty {
		if d.index*sectorBytes >= low {
			break
		}
		var old sector
		if d.old != nil {
			old = *d.old
		}
		switch p.choice(d.index) {
		case CrashDrop:
			img.setSector(d.index, &old)
		case CrashTear:
			torn := tear(&old, e.sector(d.index), scramble(seed+uint64(d.index)))
			img.setSector(d.index, &torn)
		}
	}
	return img
}

// tear returns a prefix of now followed by the rest of old. Where they differ
// in more than one byte, so does the result from both of them.
func tear(old *sector, now sector, random uint64) sector {
	first, last := 0, sectorBytes-1
	for first <= last && old[first] == now[first] {
		first++
	}
	for last > first && old[last] == now[last] {
		last--
	}
	if first >= last { // nothing to cut
		return now
	}
	cut := first + 1 + int(random%uint64(last-first))
	copy(now[cut:], old[cut:])
	return now
}

// scramble is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, OOPSLA 2014).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// planNames asks pick about the directory operations and returns which are
// kept; nil: none.
func (m *Mem) planNames(pick func(CrashItem) CrashChoice) []bool {
	if pick == nil || len(m.pending) == 0 {
		return nil
	}
	chosen := make([]bool, len(m.pending))
	counts := map[*inode]int{}
	for i, op := range m.pending {
		dir := op.to.dir
		if op.kind == dirRemove {
			dir = op.from.dir
		}
		item := CrashItem{Path: m.pathOf(dir), Dir: true, Index: counts[dir], Node: dir.num, What: op.String()}
		counts[dir]++
		chosen[i] = pick(item) != CrashDrop
	}
	return chosen
}

// String describes the operation by base names.
func (op *dirOp) String() string {
	switch op.kind {
	case dirCreate:
		return "create " + op.to.name
	case dirRemove:
		return "remove " + op.from.name
	case dirLink:
		return "link " + op.from.name + " -> " + op.to.name
	default:
		return "rename " + op.from.name + " -> " + op.to.name
	}
}
