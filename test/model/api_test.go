package model

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// notUsed are names of package db that no history uses, and why.
var notUsed = map[string]string{
	"CorruptionError":  "test/damage makes it",
	"FormatError":      "test/damage makes it",
	"MissingFileError": "test/damage makes it",
	"ErrDiskFull":      "test/fault makes it",

	"ErrTxTooOld":          "it takes commits from other goroutines all the time",
	"ErrSequenceExhausted": "it takes 2^64 numbers",
	"SequenceLeaseDefault": "a lease of 0 is used",
	"PageBytesMax":         "histories have no 16 MiB in a range",
	"MaxValueBytes":        "a value of 1 GiB costs too much",
	"ErrValueTooLarge":     "a value of 1 GiB costs too much",
	"MaxBatchBytes":        "a batch of 4 GiB costs too much",
	"ErrBatchTooLarge":     "a batch of 4 GiB costs too much",
	"FilterDrop":           "TestWhatAFilterLeavesIsConsistent has it",

	"FromLevel": "it is for people", "ToLevel": "it is for people", "Reason": "it is for people",
	"TablesIn": "it is for people", "TablesOut": "it is for people", "Took": "it is for people",
	"BytesIn": "it is for people", "BytesOut": "it is for people", "Kept": "it is for people",
	"Mean": "it is for people", "CompactionDebt": "it is for people", "Amplification": "it is for people",
}

// TestHistoriesUseTheWholeAPI looks for names that package db exports, methods
// and fields of structs included, and that this package does not mention.
// A name that several types have counts as used if one of them does.
func TestHistoriesUseTheWholeAPI(t *testing.T) {
	used := make(map[string]bool)
	for _, f := range parse(t, ".") {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				used[n.Sel.Name] = true
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok {
					used[key.Name] = true
				}
			}
			return true
		})
	}
	exported := make(map[string]string)
	for _, f := range parse(t, "../../db") {
		for _, decl := range f.Decls {
			namesOf(decl, exported)
		}
	}
	if len(exported) < 150 {
		t.Errorf("package db exports only %d names?", len(exported))
	}
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		switch why := notUsed[name]; {
		case !used[name] && why == "":
			t.Errorf("%s is not used", exported[name])
		case used[name] && why != "":
			t.Errorf("%s is used, though %s", exported[name], why)
		}
	}
	for name := range notUsed {
		if exported[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
}

// parse reads the Go files of a folder that are no tests.
func parse(t *testing.T, folder string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// namesOf adds the exported names that a declaration makes: each with its type,
// if it has one.
func namesOf(decl ast.Decl, names map[string]string) {
	add := func(of, name string) {
		if ast.IsExported(name) && (of == "" || ast.IsExported(of)) {
			names[name] = strings.TrimPrefix(of+"."+name, ".")
		}
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		of := ""
		if d.Recv != nil {
			of = typeName(d.Recv.List[0].Type)
		}
		add(of, d.Name.Name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					add("", n.Name)
				}
			case *ast.TypeSpec:
				st, ok := s.Type.(*ast.StructType)
				if !ok {
					add("", s.Name.Name)
				} else { // whose name need not be written to use it
					for _, field := range st.Fields.List {
						for _, n := range field.Names {
							add(s.Name.Name, n.Name)
						}
					}
				}
			}
		}
	}
}

// typeName is the name of a receiver's type.
func typeName(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
