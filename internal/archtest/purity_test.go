package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"testing"
)

// Below db, workers, time and the file system are passed in.

// forbiddenImports are packages that only db, or what is outside, imports.
var forbiddenImports = map[string]string{
	"log":         "nothing below db logs",
	"log/slog":    "nothing below db logs",
	"os/signal":   "a library leaves signals alone",
	"os/exec":     "a library starts no process",
	"math/rand":   "randomness is passed in, or math/rand/v2",
	"io/ioutil":   "superseded",
	"expvar":      "global state",
	"flag":        "global state",
	"unsafe":      "no need has been shown",
	"plugin":      "global state",
	"testing":     "belongs in tests",
	"net/http":    "belongs in nested modules",
	"runtime/cgo": "no cgo",
}

// forbiddenCalls are functions that read the clock or wait for it, or start
// goroutines.
var forbiddenCalls = map[string][]string{
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"},
	"context": {"WithTimeout", "WithDeadline", "WithTimeoutCause", "WithDeadlineCause", "AfterFunc",
		"Background", "TODO"},
	"runtime": {"SetFinalizer", "AddCleanup", "GC"},
}

// allowedCalls are the exceptions, by file.
var allowedCalls = map[string]map[string]string{
	"vfs/fault.go": {"time.Sleep": "the default of SetSleep, for tests that inject delays"},
}

// below reports whether dir is one of the library's packages under db.
func below(dir string) bool {
	_, ok := layers[dir]
	return ok && dir != "db"
}

func TestNothingBelowTheEngineStartsGoroutinesReadsClocksOrLogs(t *testing.T) { check(t, purity) }

func purity(t *tree) []string {
	var bad []string
	for _, f := range t.files {
		if f.test || !below(f.dir) {
			continue
		}
		names := make(map[string]string) // local name of a package -> its path
		for _, spec := range f.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			if why, no := forbiddenImports[p]; no {
				bad = append(bad, fmt.Sprintf("%s imports %s: %s", f.name, p, why))
			}
			if p == "os" && f.dir != "vfs" {
				bad = append(bad, fmt.Sprintf("%s imports os: files are reached through vfs", f.name))
			}
			name := p
			if spec.Name != nil {
				name = spec.Name.Name
			}
			names[name] = p
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				bad = append(bad, t.at(n)+" starts a goroutine")
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" {
					bad = append(bad, t.at(n)+" starts a goroutine")
				}
			case *ast.SelectorExpr:
				id, ok := n.X.(*ast.Ident)
				if !ok || !slices.Contains(forbiddenCalls[names[id.Name]], n.Sel.Name) {
					return true
				}
				call := names[id.Name] + "." + n.Sel.Name
				if _, ok := allowedCalls[f.name][call]; !ok {
					bad = append(bad, fmt.Sprintf("%s uses %s", t.at(n), call))
				}
			}
			return true
		})
	}
	return bad
}

func TestPackageVariablesOfTheLibraryAreTablesErrorsOrPools(t *testing.T) { check(t, globals) }

// globals looks for package variables that hold state: those of a type that is
// made to be changed, and those that any code assigns to, takes the address of,
// or changes an element of. A sync.Pool is no state: what it forgets is not
// missed. There is no init function either.
func globals(t *tree) []string {
	var bad []string
	for dir, files := range t.packages() {
		if _, ok := layers[dir]; !ok {
			continue
		}
		for _, group := range platforms(files) {
			bad = append(bad, t.globalsOf(dir, group)...)
		}
	}
	slices.Sort(bad)
	return slices.Compact(bad)
}

// platforms is files, and again one by one those that may declare the same
// names for another platform.
func platforms(files []*file) [][]*file {
	groups := [][]*file{files}
	for _, f := range files {
		groups = append(groups, []*file{f})
	}
	return groups
}

func (t *tree) globalsOf(dir string, files []*file) []string {
	var bad []string
	var parsed []*ast.File
	for _, f := range files {
		parsed = append(parsed, f.File)
	}
	// Imports are not followed: names of this package are all that matters.
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object)}
	conf := types.Config{Importer: noImporter{}, Error: func(error) {}}
	pkg, _ := conf.Check(dir, t.fset, parsed, info)

	variable := func(e ast.Expr) *types.Var {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			case *ast.Ident:
				v, ok := info.Uses[x].(*types.Var)
				if ok && v.Parent() == pkg.Scope() {
					return v
				}
				return nil
			default:
				return nil
			}
		}
	}
	changed := func(n ast.Node, e ast.Expr) {
		if v := variable(e); v != nil {
			bad = append(bad, fmt.Sprintf("%s changes the package variable %s", t.at(n), v.Name()))
		}
	}
	for _, f := range parsed {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				bad = append(bad, t.mutableVars(d)...)
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					bad = append(bad, t.at(d)+" is an init function")
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					changed(n, e)
				}
			case *ast.IncDecStmt:
				changed(n, n.X)
			case *ast.UnaryExpr:
				if _, ok := n.X.(*ast.CompositeLit); n.Op == token.AND && !ok && !pool(info, variable(n.X), parsed) {
					changed(n, n.X)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 &&
					slices.Contains([]string{"delete", "clear", "copy"}, id.Name) {
					changed(n, n.Args[0])
				}
			}
			return true
		})
	}
	return bad
}

// mutableVars finds variables whose type or value is made to be changed.
func (t *tree) mutableVars(d *ast.GenDecl) []string {
	if d.Tok != token.VAR {
		return nil
	}
	var bad []string
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		parts := slices.Clone(v.Values)
		if v.Type != nil {
			parts = append(parts, v.Type)
		}
		for _, e := range parts {
			ast.Inspect(e, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit:
					return false // what a function makes when it is called
				case *ast.ChanType:
					bad = append(bad, t.at(n)+" declares a channel as a package variable")
				case *ast.SelectorExpr:
					id, ok := n.X.(*ast.Ident)
					if ok && (id.Name == "atomic" || id.Name == "sync" && n.Sel.Name != "Pool") {
						bad = append(bad, fmt.Sprintf("%s declares a %s.%s as a package variable", t.at(n), id.Name, n.Sel.Name))
					}
				}
				return true
			})
		}
	}
	return bad
}

// pool reports whether v is declared as a sync.Pool, or as an array of them.
func pool(info *types.Info, v *types.Var, files []*ast.File) bool {
	found := false
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || v == nil {
				return true
			}
			for _, name := range spec.Names {
				if info.Defs[name] == v {
					ast.Inspect(spec, func(n ast.Node) bool {
						s, ok := n.(*ast.SelectorExpr)
						found = found || ok && s.Sel.Name == "Pool"
						return true
					})
				}
			}
			return true
		})
	}
	return found
}

// noImporter knows no package.
type noImporter struct{}

func (noImporter) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not followed", path)
}
