package engine

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// Engine describes one engine with one way of setting it up. Immutable once
// registered.
type Engine struct {
	// Name is what the command line and the results call it: lower-case letters,
	// digits and dashes.
	Name string
	// Title is its name for readers, such as "Pebble with value separation".
	Title string
	// Module is the path of its Go module, whose version Version reports.
	Module string
	// VersionOf tells its version where it is not that of a Go module. May be nil.
	VersionOf func() string
	// Abilities are those that its stores have.
	Abilities Ability
	// LostByKill is what a store without Options.Sync may lose of the last commits
	// when the process is killed, such as "up to 32 KiB", for an engine that has
	// nothing between that and Options.Sync. Empty: nothing, as Options asks for.
	LostByKill string
	// Settings lists what Open sets for these options, in a fixed order, and what
	// a reader must know to compare fairly, such as a durability that differs.
	Settings func(Options) []Setting
	// Open opens the store in Options.Dir, and creates it if there is none.
	Open func(Options) (Store, error)
}

// Setting is one choice of an adapter.
type Setting struct {
	Name  string `json:"name"`  // as the engine calls it, such as "MemTableSize"
	Value string `json:"value"` // as a reader wants to see it, such as "64 MiB"
	Why   string `json:"why"`   // reason, or the documentation that advises it
}

// Ability is a set of what not every engine can do.
type Ability uint

// The abilities, with the interface that a Store of such an engine implements.
const (
	Merge        Ability = 1 << iota // Merger
	TTL                              // Expirer
	Transactions                     // Transactor
	ValueLog                         // Collector: values apart from keys, collected as garbage
)

var abilityNames = []string{"merge", "TTL", "transactions", "a value log"}

// Has reports whether all of needed are in the set.
func (a Ability) Has(needed Ability) bool { return a&needed == needed }

// String lists the names of the set, with commas.
func (a Ability) String() string {
	var names []string
	for i, name := range abilityNames {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Version is the engine's version as linked into this program, "unknown" if
// the program does not tell.
func (e *Engine) Version() string {
	if e.VersionOf != nil {
		return e.VersionOf()
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Path == e.Module {
		return versionOf(&info.Main, info)
	}
	for _, m := range info.Deps {
		if m.Path == e.Module {
			return versionOf(m, info)
		}
	}
	return "unknown"
}

// versionOf names a module's version; for one that is built from its source
// tree, the commit of that tree.
func versionOf(m *debug.Module, info *debug.BuildInfo) string {
	if m.Replace == nil && m.Version != "" && m.Version != "(devel)" {
		return m.Version
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with changes"
		}
	}
	if revision == "" {
		return "source tree"
	}
	return revision + dirty
}

var registered []*Engine

// Register adds an engine to those that the program can run. It panics if the
// name is taken or not well formed: call it from init functions only.
func Register(e *Engine) {
	if e.Name == "" || strings.Trim(e.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		panic(fmt.Sprintf("engine: %q is not a name for an engine", e.Name))
	}
	if _, ok := Find(e.Name); ok {
		panic(fmt.Sprintf("engine: %q is registered twice", e.Name))
	}
	registered = append(registered, e)
	slices.SortFunc(registered, func(a, b *Engine) int { return strings.Compare(a.Name, b.Name) })
}

// All lists the registered engines, by name. The slice is the caller's.
func All() []*Engine { return slices.Clone(registered) }

// Find returns the registered engine of a name.
func Find(name string) (*Engine, bool) {
	i := slices.IndexFunc(registered, func(e *Engine) bool { return e.Name == name })
	if i < 0 {
		return nil, false
	}
	return registered[i], true
}
