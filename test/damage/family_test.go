package damage

import (
	"bytes"
	"fmt"
	"math/bits"
)

// The kinds of damage. They are the rows of the table in docs/damage.md.
const (
	damageByte        = "one byte"
	damageCut         = "cut short"
	damageLonger      = "longer"
	damageZeros       = "zeros"
	damageOnes        = "ones"
	damageStaleBlock  = "stale sector"
	damageStaleFile   = "stale file"
	damageMoved       = "sector of its own kind"
	damageForeign     = "sector of another kind"
	damageReplaced    = "file of its own kind"
	damageReplacedBy  = "file of another kind"
	damageMissing     = "missing"
	damageVersion     = "future version"
	damageUnreadable  = "unreadable"
	damageDirectory   = "a directory"
	damageDuplicate   = "twice, under another number"
	damageOrphan      = "a file too many"
	damageExtraFolder = "a directory too many"
)

// Damages are the kinds of damage.
var Damages = []string{damageByte, damageCut, damageLonger, damageZeros, damageOnes, damageStaleBlock,
	damageStaleFile, damageMoved, damageForeign, damageReplaced, damageReplacedBy, damageMissing, damageVersion,
	damageUnreadable, damageDirectory, damageDuplicate, damageOrphan, damageExtraFolder}

// sectorBytes is the unit in which disks lose and misplace what they hold.
const sectorBytes = 512

// family is some cases of a kind. make may return a case that changes nothing,
// which is passed over.
type family struct {
	n    int
	make func(i int) Case
}

// extent says how many cases there are.
type extent struct {
	everyBit bool // and every length of a cut, and every pair of sectors; else samples
	shift    int  // which samples
}

// sources are the files that damage may come from.
type sources struct {
	s     *Store
	older []map[string][]byte // by name: of this store at other times, of another one
	other map[string][]byte   // those of another store
}

// familiesOf are all cases for a file.
func familiesOf(src *sources, f *File, x extent) []family {
	one := func(n int, damage string, edit func(i int) ([]byte, string)) family {
		return family{n, func(i int) Case {
			data, what := edit(i)
			return Case{Name: f.Name + ": " + what, Damage: damage, Target: f, Files: map[string][]byte{f.Name: data}}
		}}
	}
	all := []family{flips(f, x), one(cutsOf(f, x), damageCut, func(i int) ([]byte, string) {
		n := cutAt(f, x, i)
		return bytes.Clone(f.Data[:n]), fmt.Sprintf("cut to %d of %d bytes", n, len(f.Data))
	})}
	all = append(all, one(6, damageLonger, f.longer))
	sectors := (len(f.Data) + sectorBytes - 1) / sectorBytes
	all = append(all, one(sectors*len(zeroRuns), damageZeros, f.zeros))
	all = append(all, one(sectors, damageOnes, func(i int) ([]byte, string) {
		d, at := bytes.Clone(f.Data), i*sectorBytes
		copy(d[at:], bytes.Repeat([]byte{0xff}, min(sectorBytes, len(d)-at)))
		return d, fmt.Sprintf("sector at %d all ones", at)
	}))
	all = append(all, staleOf(src, f, one)...)
	all = append(all, misplacedOf(src, f, x, sectors, one)...)
	return append(all, wholeOf(src, f)...)
}

// flips are cases with one damaged byte.
func flips(f *File, x extent) family {
	patterns := 2
	if x.everyBit {
		patterns = 9
	}
	return family{len(f.Data) * patterns, func(i int) Case {
		at, p := i/patterns, i%patterns
		pattern := byte(0xff)
		if p != 0 {
			pattern = 1 << ((p + at + x.shift) % 8)
		}
		data := bytes.Clone(f.Data)
		data[at] ^= pattern
		return Case{Name: fmt.Sprintf("%s: byte %d of %d xor %#02x", f.Name, at, len(data), pattern),
			Damage: damageByte, Target: f, Part: partOf(f, at), Files: map[string][]byte{f.Name: data}}
	}}
}

// cutEnd is how many lengths at the end of a file are always tried.
const cutEnd = 150

// cutStride is how far apart the lengths of cuts before the end are. Of logs it
// matters whether they end where a record does.
func cutStride(f *File, x extent) int {
	if x.everyBit || f.Role == roleActive || f.Role == roleClosed || f.Role == roleManifest {
		return 1
	}
	return 29
}

func cutsOf(f *File, x extent) int {
	head := max(len(f.Data)-cutEnd, 0)
	return (head+cutStride(f, x)-1)/cutStride(f, x) + len(f.Data) - head
}

// cutAt is the i-th length that a file is cut to.
func cutAt(f *File, x extent, i int) int {
	head := max(len(f.Data)-cutEnd, 0)
	strides := (head + cutStride(f, x) - 1) / cutStride(f, x)
	if i >= strides {
		return head + i - strides
	}
	return i * cutStride(f, x)
}

// longer is the file with something behind it.
func (f *File) longer(i int) ([]byte, string) {
	var more []byte
	switch n := []int{1, sectorBytes, 5000}[i%3]; i / 3 {
	case 0:
		more = make([]byte, n)
	default:
		for j := range n {
			more = append(more, byte(bits.Reverse32(uint32(j)*2654435761+12345)))
		}
	}
	if i == 5 {
		more = f.Data
	}
	return append(bytes.Clone(f.Data), more...), fmt.Sprintf("%d bytes more (%d)", len(more), i)
}

// zeroRuns are how many sectors in a row are zeroed.
var zeroRuns = []int{1, 2, 8, 1 << 20}

func (f *File) zeros(i int) ([]byte, string) {
	at, n := i/len(zeroRuns)*sectorBytes, zeroRuns[i%len(zeroRuns)]
	d := bytes.Clone(f.Data)
	clear(d[at:min(at+n*sectorBytes, len(d))])
	return d, fmt.Sprintf("%d sectors from %d zeroed", n, at)
}

// single makes a family of cases that change the contents of one file.
type single func(n int, damage string, edit func(i int) ([]byte, string)) family

// staleOf are cases with the file, or a sector of it, as it was at another
// time, or is in another store.
func staleOf(src *sources, f *File, one single) (all []family) {
	for k, older := range src.older {
		old, ok := older[f.Name]
		if !ok || bytes.Equal(old, f.Data) {
			continue
		}
		all = append(all, one(1, damageStaleFile, func(int) ([]byte, string) {
			return bytes.Clone(old), fmt.Sprintf("as in copy %d", k)
		}))
		sectors := (len(f.Data) + sectorBytes - 1) / sectorBytes
		all = append(all, one(sectors, damageStaleBlock, func(i int) ([]byte, string) {
			at := i * sectorBytes
			return overwrite(f.Data, at, old, at), fmt.Sprintf("sector %d as in copy %d", at, k)
		}))
	}
	return all
}

// overwrite is data with the sector of from, or what there is of it and zeros,
// in place of its own.
func overwrite(data []byte, at int, from []byte, fromAt int) []byte {
	d := bytes.Clone(data)
	n := min(sectorBytes, len(d)-at)
	clear(d[at : at+n])
	if fromAt < len(from) {
		copy(d[at:at+n], from[fromAt:])
	}
	return d
}
