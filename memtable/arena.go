package memtable

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
)

// An entry in the arena:
//
//	+----------------+-----+---------+---------+
//	| payload length | key | payload | padding |
//	| 4 bytes        |     |         | to 4    |
//	+----------------+-----+---------+---------+
//
// It is found by its position: the number of its slab in the high bits, and in
// the low bits where in the slab it starts, in units of four bytes. The length
// of the key is in the item.
const (
	entryHeaderLen = 4
	unitBytes      = 4
	slabBytesMax   = 1 << 20
	slabShift      = 18 // log2(slabBytesMax / unitBytes)
	slabUnitMask   = 1<<slabShift - 1

	// slabsMax leaves the positions of the last slab to probes.
	slabsMax = 1<<(32-slabShift) - 1

	// Entries above this size get a slab of their own, so that the unused end
	// of a slab is small.
	ownSlabBytesMin = slabBytesMax / 4
)

// slabClasses are the sizes of the first slabs of an arena; further ones have
// the last size. Growing in steps keeps a small memtable small.
var slabClasses = [...]int{4 << 10, 16 << 10, 64 << 10, 256 << 10, slabBytesMax}

// slabPools hold *[]byte of the sizes in slabClasses.
var slabPools [len(slabClasses)]sync.Pool

// errFull says that no position is left: 16,383 slabs are in use, which takes
// more than 4 GiB of entries.
var errFull = errors.New("memtable: full")

// slab is a run of memory that never moves.
type slab struct {
	data []byte
	box  *[]byte // what the pool of its class holds; nil if it has none
}

// arena holds keys and payloads. One goroutine adds; any number read what was
// added before they learned its position.
type arena struct {
	// slabs is replaced when one is added: readers need no lock.
	slabs atomic.Pointer[[]slab]

	// The first slab needs no other memory than this.
	first  [1]slab
	firsts []slab // first, once it is there

	// Used by the adding goroutine only.
	free    []byte // rest of the current slab
	at      uint32 // position of free
	regular int    // slabs that are not an entry's own
}

// add copies an entry into the arena. size is what it takes there.
func (a *arena) add(key, payload []byte) (pos uint32, size int, err error) {
	n := entryHeaderLen + len(key) + len(payload)
	size = (n + unitBytes - 1) &^ (unitBytes - 1)
	var dst []byte
	if size > ownSlabBytesMin {
		dst = make([]byte, size)
		if pos, err = a.addSlab(slab{data: dst}); err != nil {
			return 0, 0, err
		}
	} else {
		for size > len(a.free) {
			if err := a.grow(); err != nil {
				return 0, 0, err
			}
		}
		pos, dst = a.at, a.free
		a.free = a.free[size:]
		a.at += uint32(size / unitBytes)
	}
	binary.LittleEndian.PutUint32(dst, uint32(len(payload)))
	copy(dst[entryHeaderLen:], key)
	copy(dst[entryHeaderLen+len(key):], payload)
	return pos, size, nil
}

// grow makes a new slab the current one.
func (a *arena) grow() error {
	class := min(a.regular, len(slabClasses)-1)
	box, _ := slabPools[class].Get().(*[]byte)
	if box == nil {
		data := make([]byte, slabClasses[class])
		box = &data
	}
	at, err := a.addSlab(slab{data: *box, box: box})
	if err != nil {
		slabPools[class].Put(box)
		return err
	}
	a.free, a.at = *box, at
	a.regular++
	return nil
}

// addSlab publishes s and returns the position of its start.
func (a *arena) addSlab(s slab) (uint32, error) {
	var slabs []slab
	if p := a.slabs.Load(); p != nil {
		slabs = *p
	}
	if len(slabs) == slabsMax {
		return 0, errFull
	}
	if len(slabs) == 0 {
		a.first[0], a.firsts = s, a.first[:]
		a.slabs.Store(&a.firsts)
		return 0, nil
	}
	// A reader never looks behind the length that it loaded, so appending in
	// place is safe.
	slabs = append(slabs, s)
	a.slabs.Store(&slabs)
	return uint32(len(slabs)-1) << slabShift, nil
}

// key returns the key of the entry at pos, which is keyLen long. It stays valid
// until release.
func (a *arena) key(pos, keyLen uint32) []byte {
	i := int(pos&slabUnitMask)*unitBytes + entryHeaderLen
	j := i + int(keyLen)
	return (*a.slabs.Load())[pos>>slabShift].data[i:j:j]
}

// payload returns the payload of the entry at pos, whose key is keyLen long.
// It stays valid until release.
func (a *arena) payload(pos, keyLen uint32) []byte {
	b := (*a.slabs.Load())[pos>>slabShift].data[int(pos&slabUnitMask)*unitBytes:]
	i := entryHeaderLen + int(keyLen)
	j := i + int(binary.LittleEndian.Uint32(b))
	return b[i:j:j]
}

// release gives the slabs back to their pools and leaves the arena empty.
// Nothing may use what it returned any more.
func (a *arena) release() {
	p := a.slabs.Swap(nil)
	a.free, a.at, a.regular = nil, 0, 0
	if p == nil {
		return
	}
	for class, i := 0, 0; i < len(*p); i++ {
		if box := (*p)[i].box; box != nil {
			slabPools[class].Put(box)
			class = min(class+1, len(slabClasses)-1)
		}
	}
	a.first[0] = slab{}
}
