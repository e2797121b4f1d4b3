package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// layer is what a package may import, besides the standard library.
type layer struct {
	own  []string // packages of this module
	libs []string // modules of others
}

const (
	xxhash    = "github.com/cespare/xxhash/v2"
	ristretto = "github.com/dgraph-io/ristretto/v2"
	btree     = "github.com/google/btree"
	zstd      = "github.com/klauspost/compress/zstd"
	sys       = "golang.org/x/sys"
)

// The packages of each layer, from the ground up.
var (
	layer0 = []string{"internal/base", "internal/invariants"}
	layer1 = with(layer0, "vfs", "internal/iterator", "internal/cache", "internal/filter", "internal/compress",
		"internal/rangedel")
	layer2 = with(layer1, "internal/record")
)

func with(below []string, more ...string) []string { return slices.Concat(below, more) }

// layers is the table of design: a package that is not in it does not belong
// in the tree until somebody has decided where.
var layers = map[string]layer{
	// 0: vocabulary.
	"internal/base":       {libs: []string{xxhash}},
	"internal/invariants": {},
	// 1: one idea each, with one library at most.
	"vfs":               {own: layer0, libs: []string{sys}},
	"internal/iterator": {own: layer0},
	"internal/cache":    {own: layer0, libs: []string{ristretto}},
	"internal/filter":   {own: layer0, libs: []string{xxhash}},
	"internal/compress": {own: layer0, libs: []string{zstd}},
	"internal/rangedel": {own: layer0},
	// 2: framing.
	"internal/record": {own: layer1},
	// 3: the four kinds of storage, which know nothing of each other.
	"memtable": {own: layer2, libs: []string{btree}},
	"wal":      {own: layer2},
	"sstable":  {own: layer2, libs: []string{xxhash}},
	"vlog":     {own: layer2},
	// 4: bookkeeping, not each other.
	"manifest":        {own: layer2},
	"internal/commit": {own: layer2},
	// 5: not wal, memtable, commit.
	"compaction": {own: with(layer2, "manifest", "sstable", "vlog")},
	// 6: the engine.
	"db": {own: with(layer2, "memtable", "wal", "sstable", "vlog", "manifest", "internal/commit", "compaction")},
}

// outside are the folders whose packages use the library from outside: layer 7.
// Each may import packages of the library that are listed, its own folder, and,
// as a nested module, libraries of its own.
var outside = map[string][]string{
	"cmd/cordwood": {"db", "vfs", "internal/base", "internal/record", "sstable", "vlog", "wal", "manifest",
		"internal/cache", "internal/compress"}, // the inspection tool may open formats
	"typed":    {"db", "vfs"},
	"mvcc":     {"db", "vfs"},
	"cmd":      {"db", "vfs"},
	"cmd/soak": {"internal/testkit"},
	"examples": {"db", "vfs"},
	"x":        {"db", "vfs"},
	"test":     {"db", "vfs", "internal/testkit", "internal/testkit/draw"},
	// The benchmark, a nested module: workloads know no engine, measuring knows
	// neither, and results know nothing but themselves.
	"bench/engine":            {},
	"bench/engine/enginetest": {"bench/engine"},
	"bench/engine/cordwood":   {"bench/engine", "db", "vfs"},
	"bench/result":            {},
	"bench/measure":           {"bench/result"},
	"bench/workload":          {"bench/engine", "bench/result"},
	"bench/trace":             {"bench/engine", "bench/result", "bench/workload", "db"},
	"bench/run":               {"bench/engine", "bench/measure", "bench/result", "bench/trace", "bench/workload"},
	"bench/report":            {"bench/result"},
	"bench/report/html":       {"bench/report", "bench/result"},
	"bench/files":             {"bench/engine", "bench/measure", "bench/result", "bench/run", "bench/workload"},
	"bench/cli": {"bench/engine", "bench/files", "bench/measure", "bench/report", "bench/report/html", "bench/result",
		"bench/run", "bench/trace", "bench/workload"},
	// The programs: engines, and the command line.
	"cmd/kvbench": {"bench/cli", "bench/engine", "bench/engine/cordwood"},
	"bench/peers": {"bench/cli", "bench/engine", "bench/engine/cordwood"},
	// A nested module: it has a dependency of its own.
	"test/isolation": {"db", "vfs", "internal/testkit"},
	// Damage is planted in files whose structure has to be known.
	"test/damage": {"db", "vfs", "internal/base", "internal/testkit", "wal"},
	// What tests have in common.
	"internal/testkit":      {},
	"internal/testkit/draw": {},
	// Checks of the tree: they read it as text.
	"internal/archtest": {},
}

// outsideOf is the entry of outside that is nearest to dir.
func outsideOf(dir string) (string, bool) {
	for d := dir; d != "."; d = path.Dir(d) {
		if _, ok := outside[d]; ok {
			return d, true
		}
	}
	return "", false
}

func TestPackagesImportOnlyFromLowerLayers(t *testing.T) { check(t, layering) }

func layering(t *tree) []string {
	var bad []string
	for _, f := range t.files {
		if f.test {
			continue
		}
		l, inside := layers[f.dir]
		home, outer := outsideOf(f.dir)
		if !inside && !outer {
			bad = append(bad, fmt.Sprintf("%s: package %s has no layer", f.name, f.dir))
			continue
		}
		for _, imported := range f.imports() {
			ok := false
			own, ours := strings.CutPrefix(imported, module+"/")
			switch {
			case imported == "C" || imported == "unsafe":
				// An engine in C++, behind a build tag; system calls without a wrapper.
				ok = home == "bench/peers" || home == "bench/measure" && imported == "unsafe"
			case !strings.Contains(strings.Split(imported, "/")[0], "."):
				ok = true // standard library
			case ours && inside:
				ok = slices.Contains(l.own, own)
			case ours:
				ok = slices.Contains(outside[home], own) || own == home || strings.HasPrefix(own, home+"/")
			case inside:
				ok = slices.ContainsFunc(l.libs, func(lib string) bool {
					return imported == lib || strings.HasPrefix(imported, lib+"/")
				})
			default:
				ok = !slices.Contains([]string{"typed", "mvcc", "examples", "test"}, home) // those of the root module
			}
			if !ok {
				bad = append(bad, fmt.Sprintf("%s imports %s, which its layer does not allow", f.name, imported))
			}
		}
	}
	return bad
}

func TestEveryPackageOfTheTableExists(t *testing.T) {
	check(t, func(t *tree) []string {
		var bad []string
		packages := t.packages()
		for dir := range layers {
			if len(packages[dir]) == 0 {
				bad = append(bad, dir+": in the table of layers, but not in the tree")
			}
		}
		return bad
	})
}

func TestTheTableOfLayersHasNoCycle(t *testing.T) {
	var visit func(string, []string)
	visit = func(dir string, via []string) {
		if slices.Contains(via, dir) {
			t.Fatalf("cycle: %s", strings.Join(append(via, dir), " -> "))
		}
		for _, next := range layers[dir].own {
			visit(next, append(slices.Clip(via), dir))
		}
	}
	for dir := range layers {
		visit(dir, nil)
	}
	for dir, l := range layers {
		if dir != "db" && slices.Contains(l.own, "db") {
			t.Errorf("%s may import db", dir)
		}
	}
}
