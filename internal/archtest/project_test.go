package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dependenciesMax is how many modules a user of the library gets from us.
const dependenciesMax = 5

func TestTheLibraryHasAtMostFiveDirectDependencies(t *testing.T) {
	direct := directDependencies(read(t, "go.mod"))
	if len(direct) == 0 || len(direct) > dependenciesMax {
		t.Errorf("%d direct dependencies, want 1 to %d: %s", len(direct), dependenciesMax, strings.Join(direct, ", "))
	}
}

// directDependencies are the modules that a go.mod requires, other than those
// marked as indirect.
func directDependencies(mod string) []string {
	var direct []string
	block := false
	for line := range strings.Lines(mod) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			continue
		case block && fields[0] == ")":
			block = false
			continue
		case fields[0] == "require":
			fields = fields[1:]
			if fields[0] == "(" {
				block = true
				continue
			}
		case !block:
			continue
		}
		if !strings.Contains(line, "// indirect") && !strings.HasPrefix(fields[0], "//") {
			direct = append(direct, fields[0])
		}
	}
	return direct
}

// formats says, for each kind of file and each part of one that has a page of
// its own, where its page, its golden test and its golden file are. "" is for
// kinds that hold nothing.
var formats = map[string]struct{ page, test, golden string }{
	"FileLock":     {},
	"FileTemp":     {},
	"FileCurrent":  {"manifest.md", "manifest/golden_test.go", "manifest/testdata/v1/CURRENT"},
	"FileManifest": {"manifest.md", "manifest/golden_test.go", "manifest/testdata/v1/MANIFEST-000001"},
	"FileTable":    {"sstable.md", "sstable/golden_test.go", "sstable/testdata/v1.sst"},
	"FileWAL":      {"wal.md", "wal/golden_test.go", "wal/testdata/v1-000001.wal.hex"},
	"FileVlog":     {"vlog.md", "vlog/golden_test.go", "vlog/testdata/original-v1.hex"},
	// Parts.
	"record":   {"record.md", "internal/record/golden_test.go", "internal/record/testdata/v1.hex"},
	"filter":   {"filter.md", "internal/filter/filter_test.go", "internal/filter/testdata/filter.hex"},
	"sequence": {"sequence.md", "db/sequence_test.go", "db/testdata/sequence-v1.hex"},
	"tuple":    {"tuple.md", "typed/golden_test.go", "typed/testdata/tuple-v1.hex"},
	"mvcc":     {"mvcc.md", "mvcc/encoding_test.go", "mvcc/testdata/space-v1.hex"},
	"trace":    {"trace.md", "bench/trace/golden_test.go", "bench/trace/testdata/v1.hex"},
	"index":    {"index.md", "typed/golden_test.go", "typed/testdata/index-v1.hex"},
}

func TestEveryKindOfFileHasAPageAndAGoldenTest(t *testing.T) {
	kinds := fileKinds(t)
	for _, kind := range kinds {
		if _, ok := formats[kind]; !ok {
			t.Errorf("base.%s is a kind of file without a page in docs/format", kind)
		}
	}
	pages := map[string]bool{"README.md": true}
	for kind, f := range formats {
		if strings.HasPrefix(kind, "File") && !strings.Contains(strings.Join(kinds, " ")+" ", kind+" ") {
			t.Errorf("%s is not a kind of file", kind)
		}
		if f.page == "" {
			continue
		}
		pages[f.page] = true
		page := strings.ToLower(read(t, "docs/format/"+f.page))
		for _, part := range []string{"version", "\n| ", "\n```"} {
			if !strings.Contains(page, part) {
				t.Errorf("docs/format/%s has no %q", f.page, part)
			}
		}
		if read(t, f.golden) == "" {
			t.Errorf("%s is empty", f.golden)
		}
		if !strings.Contains(read(t, f.test), "testdata") {
			t.Errorf("%s does not read %s", f.test, f.golden)
		}
	}
	listed, err := os.ReadDir(filepath.Join(root, "docs", "format"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range listed {
		if !pages[e.Name()] {
			t.Errorf("docs/format/%s: no golden test is listed for it", e.Name())
		}
	}
}

// fileKinds are the constants of type base.FileKind, without FileUnknown.
func fileKinds(t *testing.T) []string {
	t.Helper()
	r, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, f := range r.files {
		if f.name != "internal/base/filename.go" {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			s, ok := n.(*ast.ValueSpec)
			if ok && strings.HasPrefix(s.Names[0].Name, "File") && s.Names[0].Name != "FileUnknown" {
				kinds = append(kinds, s.Names[0].Name)
			}
			return true
		})
	}
	if len(kinds) < 5 {
		t.Fatalf("found %d kinds of files: %v", len(kinds), kinds)
	}
	return kinds
}

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Error(err)
		return ""
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}
