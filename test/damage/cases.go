package damage

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// sectorBytes is the unit in which disks lose and misplace what they hold.
const sectorBytes = 512

// contents are the files of a store by name.
func (s *Store) contents() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, name := range s.Files {
		data, err := readFile(s.FS, name)
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// one is a case with one changed file.
func one(data []byte, name, format string, args ...any) Case {
	return Case{Name: name + ": " + fmt.Sprintf(format, args...), Files: map[string][]byte{name: data}}
}

// Flips are cases with one damaged byte: every stride-th of every file, with
// all bits flipped or with one, in turn.
func Flips(files map[string][]byte, stride, first int) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		n := first
		for _, name := range slices.Sorted(maps.Keys(files)) {
			for at := range files[name] {
				if n++; n%stride != 0 {
					continue
				}
				pattern := byte(0xff)
				if n/stride%2 == 1 {
					pattern = 1 << (n / stride / 2 % 8)
				}
				data := bytes.Clone(files[name])
				data[at] ^= pattern
				if !yield(one(data, name, "byte %d of %d xor %#02x", at, len(data), pattern)) {
					return
				}
			}
		}
	}
}

// Cuts are cases with a shorter file, or one that is longer by zeros.
func Cuts(files map[string][]byte, stride int) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			data := files[name]
			for n := 0; n < len(data); n += stride {
				if !yield(one(bytes.Clone(data[:n]), name, "cut to %d of %d bytes", n, len(data))) {
					return
				}
			}
			for _, more := range []int{1, sectorBytes, 5000} {
				if !yield(one(append(bytes.Clone(data), make([]byte, more)...), name, "%d zeros more", more)) {
					return
				}
			}
		}
	}
}

// sectors are the starts of the sectors of data, in units of n bytes.
func sectors(data []byte, n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at := 0; at < len(data); at += n {
			if !yield(at) {
				return
			}
		}
	}
}

// Zeroed are cases with runs of zeroed, or overwritten, sectors.
func Zeroed(files map[string][]byte) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for name, data := range files {
			for at := range sectors(data, sectorBytes) {
				for _, n := range []int{1, 2, 100} {
					d := bytes.Clone(data)
					clear(d[at:min(at+n*sectorBytes, len(d))])
					if !yield(one(d, name, "%d sectors from %d zeroed", n, at)) {
						return
					}
				}
				d := bytes.Clone(data)
				copy(d[at:], bytes.Repeat([]byte{0xff}, min(sectorBytes, len(d)-at)))
				if !yield(one(d, name, "sector at %d all ones", at)) {
					return
				}
			}
		}
	}
}

// SwappedSectors are cases with two sectors exchanged, in one file or in two of
// a kind, or with one copied over the other.
func SwappedSectors(files map[string][]byte, stride int) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		n := 0
		for _, p := range pairs(files, true) {
			for i := range sectors(files[p.a], sectorBytes) {
				for j := range sectors(files[p.b], sectorBytes) {
					if p.a == p.b && j <= i {
						continue
					}
					if n++; n%stride != 0 {
						continue
					}
					if !yield(swapSectors(files, p, i, j, n/stride%2 == 0)) {
						return
					}
				}
			}
		}
	}
}

func swapSectors(files map[string][]byte, p pair, i, j int, both bool) Case {
	a := bytes.Clone(files[p.a])
	b := a
	if p.a != p.b {
		b = bytes.Clone(files[p.b])
	}
	n := min(sectorBytes, len(a)-i, len(b)-j)
	old := bytes.Clone(b[j : j+n])
	copy(b[j:], a[i:i+n])
	c := Case{Name: fmt.Sprintf("sector %d of %s copied over sector %d of %s", i, p.a, j, p.b)}
	if both {
		copy(a[i:], old)
		c.Name = fmt.Sprintf("sector %d of %s and sector %d of %s swapped", i, p.a, j, p.b)
	}
	c.Files = map[string][]byte{p.a: a, p.b: b}
	return c
}

// pair names two files of a kind.
type pair struct{ a, b string }

// pairs are all of them; same says whether a file pairs with itself.
func pairs(files map[string][]byte, same bool) []pair {
	var all []pair
	names := slices.Sorted(maps.Keys(files))
	for i, a := range names {
		for _, b := range names[i:] {
			if kind(a) == kind(b) && (a != b || same) {
				all = append(all, pair{a, b})
			}
		}
	}
	return all
}

// SwappedFiles are cases with whole files exchanged, copied over others, or
// gone.
func SwappedFiles(files map[string][]byte) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, p := range pairs(files, false) {
			a, b := files[p.a], files[p.b]
			cases := []Case{
				{fmt.Sprintf("%s and %s swapped", p.a, p.b), map[string][]byte{p.a: b, p.b: a}},
				{fmt.Sprintf("%s copied over %s", p.a, p.b), map[string][]byte{p.b: a}},
				{fmt.Sprintf("%s copied over %s", p.b, p.a), map[string][]byte{p.a: b}},
				{fmt.Sprintf("%s and %s gone", p.b, p.a), map[string][]byte{p.a: nil, p.b: nil}},
			}
			for _, c := range cases {
				if !yield(c) {
					return
				}
			}
		}
		for name := range files {
			if !yield(Case{name + " is gone", map[string][]byte{name: nil}}) {
				return
			}
		}
	}
}

// Stale are cases with a file, or sectors of one, as it was earlier.
func Stale(files, older map[string][]byte) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for name, data := range files {
			old, ok := older[name]
			if !ok || bytes.Equal(old, data) {
				continue
			}
			if !yield(one(bytes.Clone(old), name, "as it was earlier")) {
				return
			}
			for at := range sectors(data, sectorBytes) {
				d := bytes.Clone(data)
				n := min(sectorBytes, len(d)-at)
				clear(d[at : at+n])
				if at < len(old) {
					copy(d[at:at+n], old[at:])
				}
				if !bytes.Equal(d, data) && !yield(one(d, name, "sector %d as it was earlier", at)) {
					return
				}
			}
		}
	}
}
