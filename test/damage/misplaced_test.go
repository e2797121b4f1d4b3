package damage

import (
	"bytes"
	"fmt"
)

// sector is a place in a file.
type sector struct {
	f  *File
	at int
}

func (a sector) String() string { return fmt.Sprintf("sector %d of %s", a.at, a.f.Name) }

// sectorsOf are the sectors of the files that keep allows.
func sectorsOf(s *Store, keep func(*File) bool) (all []sector) {
	for _, f := range s.Files {
		if keep(f) {
			for at := 0; at < len(f.Data); at += sectorBytes {
				all = append(all, sector{f, at})
			}
		}
	}
	return all
}

// sameKind reports whether two files have the same format.
func sameKind(a, b *File) bool { return kind(a.Name) == kind(b.Name) }

// kind is the part of a file name that files of one format share.
func kind(name string) string {
	for i := range name {
		if name[i] == '.' || name[i] == '-' {
			if name[i] == '-' {
				return name[:i]
			}
			return name[i:]
		}
	}
	return name
}

// misplacedOf are cases with a sector that belongs elsewhere, alone or
// exchanged with the one that was there.
func misplacedOf(src *sources, f *File, x extent, sectors int, one single) []family {
	own := sectorsOf(src.s, func(g *File) bool { return sameKind(f, g) })
	foreign := sectorsOf(src.s, func(g *File) bool { return !sameKind(f, g) })
	count := func(n int) int { // how many of n each sector is replaced by
		if x.everyBit {
			return n
		}
		return min(n, 8)
	}
	each := count(len(own))
	moved := family{sectors * each * 2, func(i int) Case {
		to := sector{f, i / 2 / each * sectorBytes}
		from := own[(i/2%each*(len(own)/each)+i/2/each+x.shift)%len(own)]
		return misplaced(to, from, i%2 == 1)
	}}
	others := count(len(foreign))
	return []family{moved, one(sectors*others, damageForeign, func(i int) ([]byte, string) {
		at := i / others * sectorBytes
		from := foreign[(i%others*(len(foreign)/max(others, 1))+i/others+x.shift)%len(foreign)]
		return overwrite(f.Data, at, from.f.Data, from.at), fmt.Sprintf("%v over sector %d", from, at)
	})}
}

// misplaced is the case of a sector over another, or exchanged with it.
func misplaced(to, from sector, both bool) Case {
	c := Case{Name: fmt.Sprintf("%v over %v", from, to), Damage: damageMoved, Target: to.f}
	data := overwrite(to.f.Data, to.at, from.f.Data, from.at)
	c.Files = map[string][]byte{to.f.Name: data}
	switch {
	case both && to.f == from.f:
		copy(data[from.at:], to.f.Data[to.at:min(to.at+sectorBytes, len(data))])
		c.Name = fmt.Sprintf("%v and %v exchanged", from, to)
	case both:
		c.Files[from.f.Name] = overwrite(from.f.Data, from.at, to.f.Data, to.at)
		c.Name = fmt.Sprintf("%v and %v exchanged", from, to)
	}
	return c
}

// wholeOf are cases about whole files.
func wholeOf(src *sources, f *File) []family {
	own, foreign := []*File{}, []*File{}
	for _, g := range src.s.Files {
		switch {
		case g == f:
		case sameKind(f, g):
			own = append(own, g)
		default:
			foreign = append(foreign, g)
		}
	}
	replaced := func(damage string, by []*File) family {
		return family{len(by) * 2, func(i int) Case {
			g := by[i/2]
			c := Case{Name: fmt.Sprintf("%s over %s", g.Name, f.Name), Damage: damage, Target: f,
				Files: map[string][]byte{f.Name: bytes.Clone(g.Data)}}
			if i%2 == 1 {
				c.Name = fmt.Sprintf("%s and %s exchanged", g.Name, f.Name)
				c.Files[g.Name] = bytes.Clone(f.Data)
			}
			return c
		}}
	}
	all := []family{replaced(damageReplaced, own), replaced(damageReplacedBy, foreign)}
	cases := []Case{
		{Name: f.Name + " is gone", Damage: damageMissing, Files: map[string][]byte{f.Name: nil}},
		{Name: f.Name + " cannot be opened", Damage: damageUnreadable, Unreadable: f.Name},
		{Name: f.Name + " is a directory", Damage: damageDirectory, Dir: f.Name},
	}
	for _, version := range []uint32{99, 1 << 31} {
		if data := ofVersion(f, version); data != nil {
			cases = append(cases, Case{Name: fmt.Sprintf("%s of version %d", f.Name, version), Damage: damageVersion,
				Files: map[string][]byte{f.Name: data}})
		}
	}
	cases = append(cases, extras(src, f)...)
	return append(all, family{len(cases), func(i int) Case {
		c := cases[i]
		c.Target = f
		return c
	}})
}

// extras are cases with a file, or a directory, that does not belong there.
func extras(src *sources, f *File) (cases []Case) {
	dup := func(name, damage string, data []byte) {
		if name != "" && src.s.byName[name] == nil {
			cases = append(cases, Case{Name: name + " with the contents of " + f.Name, Damage: damage,
				Files: map[string][]byte{name: bytes.Clone(data)}})
		}
	}
	folder := func(name string) {
		if name != "" && src.s.byName[name] == nil {
			cases = append(cases, Case{Name: "a directory " + name, Damage: damageExtraFolder, Dir: name})
		}
	}
	for _, to := range []int{-1, 1, 900_000} {
		name := renumbered(f.Name, to)
		dup(name, damageDuplicate, f.Data)
		folder(name)
		if other := src.other[f.Name]; other != nil {
			dup(name, damageOrphan, other)
		}
	}
	for _, suffix := range []string{".tmp", ".bak", "~"} {
		dup(f.Name+suffix, damageDuplicate, f.Data)
		dup(f.Name+suffix, damageOrphan, []byte("contents of something else"))
	}
	folder(f.Name + ".tmp")
	return cases
}
