package damage

import (
	"bytes"
	"math/bits"
	"sort"
)

// set is all cases for some stores, numbered from 0. It holds none of them:
// each is made when it is asked for.
type set struct {
	families []family
	stores   []*Store // of the families
	ends     []int    // of their numbers
}

// newSet is the cases for stores; others are the same stores, built another
// time. What several stores have in common gets its cases once, as far as they
// are about bytes.
func newSet(stores, others []*Store, x extent) (*set, error) {
	c := &set{}
	seen := make(map[string]bool)
	for i, s := range stores {
		src := &sources{s: s}
		var err error
		if src.older, err = clones(s.Older); err != nil {
			return nil, err
		}
		if i < len(others) {
			if src.other, err = contents(others[i].FS, dir); err != nil {
				return nil, err
			}
			src.older = append(src.older, src.other)
		}
		for _, f := range s.Files {
			if f.Role == roleLeftover {
				continue
			}
			all := familiesOf(src, f, x)
			if seen[f.Role+string(f.Data)] {
				all = all[2:] // without flips and cuts
			}
			seen[f.Role+string(f.Data)] = true
			for _, fam := range all {
				c.add(s, fam)
			}
		}
	}
	return c, nil
}

func (c *set) add(s *Store, fam family) {
	if fam.n == 0 {
		return
	}
	c.families = append(c.families, fam)
	c.stores = append(c.stores, s)
	c.ends = append(c.ends, c.len()+fam.n)
}

// len is how many cases there are.
func (c *set) len() int {
	if len(c.ends) == 0 {
		return 0
	}
	return c.ends[len(c.ends)-1]
}

// at is case i.
func (c *set) at(i int) (*Store, Case) {
	k := sort.SearchInts(c.ends, i+1)
	start := c.ends[k] - c.families[k].n
	return c.stores[k], c.families[k].make(i - start)
}

// changes reports whether the case changes anything.
func (c *Case) changes(s *Store) bool {
	if c.system() {
		return true
	}
	for name, data := range c.Files {
		f := s.byName[name]
		if f == nil || data == nil || !bytes.Equal(f.Data, data) {
			return true
		}
	}
	return false
}

// permutation is an order of the numbers below n that follows from a seed and
// takes no memory: four rounds of a Feistel network on the least even number of
// bits that hold n, repeated while the result is too large (Black and Rogaway,
// Ciphers with Arbitrary Finite Domains, 2002).
type permutation struct {
	n    int
	half int // bits
	keys [4]uint64
}

func newPermutation(n int, seed uint64) *permutation {
	p := &permutation{n: n, half: max((bits.Len(uint(max(n-1, 1)))+1)/2, 1)}
	for i := range p.keys {
		p.keys[i] = mix(seed + uint64(i)*0x9e3779b97f4a7c15)
	}
	return p
}

// at is the i-th number.
func (p *permutation) at(i int) int {
	mask := uint64(1)<<p.half - 1
	for x := uint64(i); ; {
		l, r := x>>p.half, x&mask
		for _, k := range p.keys {
			l, r = r, l^mix(r^k)&mask
		}
		if x = l<<p.half | r; x < uint64(p.n) {
			return int(x)
		}
	}
}

// mix scatters bits (the finalizer of SplitMix64, Steele and others 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
