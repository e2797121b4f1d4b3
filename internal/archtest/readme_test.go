package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The README's first program has the body of the package example, which go test
// compiles, runs and compares with its output; and it imports what it uses.
func TestTheReadmesFirstProgramIsTheExample(t *testing.T) {
	program := firstBlock(read(t, "README.md"), "go")
	want := functionBody(t, "db/example_test.go", read(t, "db/example_test.go"), "Example")
	want, _, _ = strings.Cut(want, "\t// Output:")
	if got := functionBody(t, "README.md", program, "main"); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("the README shows\n%s\nand db/example_test.go\n%s", got, want)
	}
	imported, used := importsAndUses(t, program)
	if !slices.Equal(imported, used) {
		t.Errorf("the README's program imports %v and uses %v", imported, used)
	}
}

// firstBlock is the first fenced block of a language in a Markdown text.
func firstBlock(text, language string) string {
	_, rest, _ := strings.Cut(text, "\n```"+language+"\n")
	block, _, _ := strings.Cut(rest, "\n```")
	return block + "\n"
}

// functionBody is the text between the braces of a function.
func functionBody(t *testing.T, file, src, name string) string {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
			return src[fset.Position(fn.Body.Lbrace).Offset+1 : fset.Position(fn.Body.Rbrace).Offset]
		}
	}
	t.Fatalf("%s has no function %s", file, name)
	return ""
}

// importsAndUses are the names of the packages that a program imports, and of
// those that it uses, sorted.
func importsAndUses(t *testing.T, src string) (imported, used []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "program.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		imported = append(imported, path.Base(p))
	}
	uses := make(map[string]bool)
	for _, id := range f.Unresolved {
		uses[id.Name] = true
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := s.X.(*ast.Ident); ok && id.Obj == nil && uses[id.Name] && !slices.Contains(used, id.Name) {
			used = append(used, id.Name)
		}
		return true
	})
	return slices.Sorted(slices.Values(imported)), slices.Sorted(slices.Values(used))
}

// pages are the documents whose links are checked.
func pages(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.ToSlash(rel))
		}
	}
	return names
}

var (
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	ticked = regexp.MustCompile("`(?:([a-z]+)\\.)?([A-Za-z]+(?:\\.[A-Za-z]+)?)(?:\\(\\))?`")
)

func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := page
			if target != "" {
				to = path.Join(path.Dir(page), target)
			}
			info, err := os.Stat(filepath.Join(root, filepath.FromSlash(to)))
			if err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if anchor != "" && !info.IsDir() && !slices.Contains(anchors(read(t, to)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
		}
	}
}

// anchors are the names that the headings of a Markdown text can be linked by.
func anchors(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_':
				return r
			}
			return -1
		}, strings.ToLower(strings.TrimSpace(heading)))
		names = append(names, name)
	}
	return names
}

// ARCHITECTURE.md names functions. A name that the tree does not have any more
// sends its reader astray.
func TestNamesInTheArchitectureExist(t *testing.T) {
	r, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, f := range r.files {
		known[f.Name.Name] = true
		ast.Inspect(f.File, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				known[id.Name] = true
			}
			return true
		})
	}
	missing := make(map[string]bool)
	for _, m := range ticked.FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1) {
		for _, name := range strings.Split(m[2], ".") {
			if !known[name] && !slices.Contains([]string{"go", "md", "LOCK", "CURRENT", "MANIFEST"}, name) {
				missing[m[0]] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("ARCHITECTURE.md names %s, which is not in the tree", name)
	}
}

// testName finds the names of tests in a document.
var testName = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`)

func TestTestsThatDocumentsNameExist(t *testing.T) {
	r, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, f := range r.files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				known[fn.Name.Name] = true
			}
		}
	}
	for _, name := range pages(t) {
		for _, test := range testName.FindAllString(read(t, name), -1) {
			if !known[test] {
				t.Errorf("%s names %s, which is not in the tree", name, test)
			}
		}
	}
}
