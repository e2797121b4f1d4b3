package damage

import (
	"maps"
	"slices"
	"strings"
)

// State is what a store holds at checkTime.
type State map[string]string

// sideName is the keyspace of keys of some kinds; the others are in the default
// one.
const sideName = "side"

// spaceOf is the name of the keyspace of a key.
func spaceOf(key string) string {
	if strings.HasPrefix(key, "m") || strings.HasPrefix(key, "t") || strings.HasPrefix(key, "w") {
		return sideName
	}
	return ""
}

// View is a state with what reads need to check it.
type View struct {
	State
	keys   []string // of the state, ascending
	probes []string // keys to look up: those, and some that there are not, or not any more

	main, side *View // the parts that the keyspaces have; nil in a part
}

// in is the part of the view that a keyspace has.
func (v *View) in(space string) *View {
	other := func(k string) bool { return spaceOf(k) != space }
	return &View{State: v.State, keys: slices.DeleteFunc(slices.Clone(v.keys), other),
		probes: slices.DeleteFunc(slices.Clone(v.probes), other)}
}

// newView takes more keys to look up, beside those of s.
func newView(s State, more []string) *View {
	v := &View{State: maps.Clone(s), keys: slices.Sorted(maps.Keys(s))}
	v.probes = append(slices.Clone(v.keys), more...)
	slices.Sort(v.probes)
	v.probes = slices.Compact(v.probes)
	v.main, v.side = v.in(""), v.in(sideName)
	return v
}
