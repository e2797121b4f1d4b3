package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// Limits of size, tests apart.
const (
	functionLinesMax = 70 // of the body
	fileLinesMax     = 600
	docLinesMin      = 4 // of a package comment
)

func TestFunctionsFitOnAScreen(t *testing.T) { check(t, functionLength) }

func functionLength(t *tree) []string {
	var bad []string
	for _, f := range t.files {
		if f.test {
			continue
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			lines := t.fset.Position(fn.Body.End()).Line - t.fset.Position(fn.Body.Pos()).Line - 1
			if lines > functionLinesMax {
				bad = append(bad, fmt.Sprintf("%s: %s has %d lines, more than %d", t.at(fn), fn.Name.Name, lines, functionLinesMax))
			}
		}
	}
	return bad
}

func TestFilesHoldOneConcept(t *testing.T) { check(t, fileLength) }

func fileLength(t *tree) []string {
	var bad []string
	for _, f := range t.files {
		if !f.test && f.lines > fileLinesMax {
			bad = append(bad, fmt.Sprintf("%s has %d lines, more than %d", f.name, f.lines, fileLinesMax))
		}
	}
	return bad
}

func TestEveryPackageHasADocFile(t *testing.T) { check(t, packageDocs) }

func packageDocs(t *tree) []string {
	docs := make(map[string]int) // lines of each package's doc.go
	for _, f := range t.files {
		n := 0
		if path.Base(f.name) == "doc.go" && f.Doc != nil {
			n = strings.Count(strings.TrimSpace(f.Doc.Text()), "\n") + 1
		}
		docs[f.dir] = max(docs[f.dir], n)
	}
	var bad []string
	for dir, n := range docs {
		// An example program says what it is above its package clause.
		if n < docLinesMin && !strings.HasPrefix(dir, "examples/") {
			bad = append(bad, fmt.Sprintf("%s: doc.go has a comment of %d lines, fewer than %d", dir, n, docLinesMin))
		}
	}
	slices.Sort(bad)
	return bad
}

// drawers are names that say nothing about what is inside.
var drawers = []string{"util", "utils", "common", "misc", "manager", "helper", "helpers", "shared", "lib", "y", "z"}

func TestNoPackageIsNamedAfterADrawer(t *testing.T) { check(t, names) }

func names(t *tree) []string {
	var bad []string
	for _, f := range t.files {
		stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.name), ".go"), "_test")
		for _, name := range append(strings.Split(f.dir, "/"), f.Name.Name, stem) {
			if slices.Contains(drawers, name) {
				bad = append(bad, fmt.Sprintf("%s: %q says nothing about what is inside", f.name, name))
			}
		}
	}
	return bad
}

func TestEveryExportedIdentifierHasAComment(t *testing.T) { check(t, comments) }

func comments(t *tree) []string {
	var bad []string
	for _, f := range t.files {
		if f.test || f.Name.Name == "main" {
			continue
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					bad = append(bad, fmt.Sprintf("%s: %s has no comment", t.at(d), d.Name.Name))
				}
			case *ast.GenDecl:
				bad = append(bad, t.bareSpecs(d)...)
			}
		}
	}
	return bad
}

// exportedReceiver reports whether d is a function, or a method of an exported
// type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// bareSpecs finds exported types, constants and variables without a comment:
// their own, at the end of their line, or that of their group.
func (t *tree) bareSpecs(d *ast.GenDecl) []string {
	if d.Tok == token.IMPORT {
		return nil
	}
	var bad []string
	commented := false // the spec before, of a group without a comment of its own
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || len(d.Specs) > 1) {
				bad = append(bad, fmt.Sprintf("%s: %s has no comment", t.at(s), s.Name.Name))
			}
		case *ast.ValueSpec:
			commented = s.Doc != nil || s.Comment != nil || d.Doc != nil
			for _, name := range s.Names {
				if name.IsExported() && !commented {
					bad = append(bad, fmt.Sprintf("%s: %s has no comment", t.at(s), name.Name))
				}
			}
		}
	}
	return bad
}
