package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of the root module.
const module = "github.com/cordwood-db/cordwood"

// tree is a parsed source tree.
type tree struct {
	fset  *token.FileSet
	files []*file
}

// file is one Go file of a tree.
type file struct {
	*ast.File
	name  string // from the root, with slashes
	dir   string // of name
	lines int
	test  bool
}

// imports are the paths that f imports.
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// at is the place of a node, for messages.
func (t *tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// packages are the files of each folder, tests left out.
func (t *tree) packages() map[string][]*file {
	packages := make(map[string][]*file)
	for _, f := range t.files {
		if !f.test {
			packages[f.dir] = append(packages[f.dir], f)
		}
	}
	return packages
}

// add parses one file.
func (t *tree) add(name string, src []byte) error {
	f, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &file{
		File: f, name: name, dir: path.Dir(name),
		lines: t.fset.File(f.FileStart).LineCount(),
		test:  strings.HasSuffix(name, "_test.go"),
	})
	return nil
}

// root is the repository's root, seen from this package.
const root = "../.."

// repository is the tree that this test belongs to, parsed once.
var repository = sync.OnceValues(func() (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		return t.add(name, src)
	})
	return t, err
})

// planted makes a tree of the given files, by name.
func planted(t *testing.T, files map[string]string) *tree {
	t.Helper()
	p := &tree{fset: token.NewFileSet()}
	for name, src := range files {
		if err := p.add(name, []byte(src)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// check reports every violation of a rule in the repository.
func check(t *testing.T, rule func(*tree) []string) {
	t.Helper()
	r, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.files) < 100 {
		t.Fatalf("only %d files found from %s", len(r.files), root)
	}
	for _, violation := range rule(r) {
		t.Error(violation)
	}
}
