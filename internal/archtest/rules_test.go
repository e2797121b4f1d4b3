package archtest

import (
	"slices"
	"strings"
	"testing"
)

// Each rule is shown a tree that breaks it, and one that comes close.
func TestEachRuleFindsWhatBreaksIt(t *testing.T) {
	cases := []struct {
		what  string
		rule  func(*tree) []string
		files map[string]string
		want  []string // a part of each violation; none: the tree is fine
	}{
		{"siblings", layering, map[string]string{
			"wal/a.go":      `package wal; import ("fmt"; "github.com/cordwood-db/cordwood/memtable")`,
			"manifest/a.go": `package manifest; import "github.com/cordwood-db/cordwood/internal/commit"`,
			"sstable/a.go":  `package sstable; import "github.com/cordwood-db/cordwood/internal/cache"`,
		}, []string{"wal/a.go imports", "manifest/a.go imports"}},
		{"upwards", layering, map[string]string{
			"compaction/a.go":    `package compaction; import "github.com/cordwood-db/cordwood/db"`,
			"compaction/b.go":    `package compaction; import "github.com/cordwood-db/cordwood/wal"`,
			"internal/base/a.go": `package base; import "github.com/cordwood-db/cordwood/vfs"`,
		}, []string{"compaction/a.go imports", "compaction/b.go imports", "internal/base/a.go imports"}},
		{"libraries", layering, map[string]string{
			"vfs/a.go":        `package vfs; import "golang.org/x/sys/unix"`,
			"wal/a.go":        `package wal; import "golang.org/x/sys/unix"`,
			"db/a.go":         `package db; import "example.com/x"`,
			"cmd/tool/a.go":   `package main; import "example.com/x"`,
			"examples/e/a.go": `package main; import "example.com/x"`,
			"typed/a.go":      `package typed; import "example.com/x"`,
			"vfs/c.go":        `package vfs; import "C"`,
		}, []string{"wal/a.go imports", "db/a.go imports", "examples/e/a.go imports", "typed/a.go imports", "vfs/c.go imports"}},
		{"outside", layering, map[string]string{
			"cmd/tool/a.go":     `package main; import "github.com/cordwood-db/cordwood/db"`,
			"cmd/tool/b.go":     `package main; import "github.com/cordwood-db/cordwood/sstable"`,
			"cmd/cordwood/a.go": `package main; import "github.com/cordwood-db/cordwood/sstable"`,
			"test/crash/a.go":   `package crash; import "github.com/cordwood-db/cordwood/test/model"`,
			"newcomer/a.go":     `package newcomer`,
			"db/a_test.go":      `package db; import "example.com/tests/are/free"`,
		}, []string{"cmd/tool/b.go imports", "package newcomer has no layer"}},

		{"goroutines", purity, map[string]string{
			"wal/a.go": "package wal\nfunc f() { go f() }",
			"wal/b.go": "package wal\nfunc f(wg *sync.WaitGroup) { wg.Go(g) }",
			"db/a.go":  "package db\nfunc f() { go f() }",
		}, []string{"wal/a.go:2 starts", "wal/b.go:2 starts"}},
		{"clocks", purity, map[string]string{
			"vlog/a.go": "package vlog\nimport \"time\"\nvar _ = time.Now()",
			"vlog/b.go": "package vlog\nimport clock \"time\"\nvar f = clock.NewTimer",
			"vlog/c.go": "package vlog\nimport \"time\"\nfunc f(d time.Duration) { d.Round(time.Second) }",
			"vlog/d.go": "package vlog\nimport \"context\"\nvar f = context.WithTimeout",
			"vlog/e.go": "package vlog\nfunc (t T) f() { t.time.Now() }",
		}, []string{"vlog/a.go:3 uses time.Now", "vlog/b.go:3 uses time.NewTimer", "vlog/d.go:3 uses context.WithTimeout"}},
		{"logs and files", purity, map[string]string{
			"sstable/a.go": `package sstable; import "log/slog"`,
			"sstable/b.go": `package sstable; import "os"`,
			"vfs/a.go":     `package vfs; import "os"`,
			"vfs/b.go":     `package vfs; import "log"`,
		}, []string{"sstable/a.go imports log/slog", "sstable/b.go imports os", "vfs/b.go imports log"}},

		{"state in variables", globals, map[string]string{
			"wal/a.go":  "package wal\nvar n int\nfunc f() { n++ }",
			"wal/b.go":  "package wal\nvar m = map[string]int{}\nfunc g() { m[`x`] = 1 }",
			"wal/c.go":  "package wal\nvar mu sync.Mutex",
			"wal/d.go":  "package wal\nvar c = make(chan int)",
			"wal/e.go":  "package wal\nvar p int\nfunc h() *int { return &p }",
			"wal/f.go":  "package wal\nvar q atomic.Int64",
			"wal/g.go":  "package wal\nfunc init() {}",
			"vlog/h.go": "package vlog\nvar t = struct{ a int }{}\nfunc i() { t.a = 1 }",
			"vlog/i.go": "package vlog\nvar m = map[int]int{}\nfunc j() { clear(m) }",
		}, []string{"wal/a.go:3", "wal/b.go:3", "wal/c.go:2", "wal/d.go:2", "wal/e.go:3", "wal/f.go:2", "wal/g.go:2",
			"vlog/h.go:3", "vlog/i.go:3"}},
		{"tables, errors, pools", globals, map[string]string{
			"wal/a.go": "package wal\nimport \"sync\"\nvar pool = sync.Pool{New: func() any { return new(sync.Mutex) }}\n" +
				"var pools [3]sync.Pool\nfunc f() { p := &pools[1]; p.Get() }",
			"wal/b.go": "package wal\nvar table = [...]int{1, 2}\nfunc g() { table := 1; table++; table = 2; _ = &table }",
			"wal/c.go": "package wal\nvar err = errors.New(`x`)\nfunc h() { var s struct{ err error }; s.err = err }",
		}, nil},

		{"long functions", functionLength, map[string]string{
			"db/a.go":      "package db\nfunc short() {" + strings.Repeat("\n", functionLinesMax+1) + "}",
			"db/b.go":      "package db\nfunc (x T) long() {" + strings.Repeat("\n", functionLinesMax+2) + "}",
			"db/a_test.go": "package db\nfunc long() {" + strings.Repeat("\n", functionLinesMax+2) + "}",
		}, []string{"db/b.go:2: long has 71 lines"}},
		{"long files", fileLength, map[string]string{
			"db/a.go":      "package db" + strings.Repeat("\n", fileLinesMax),
			"db/b.go":      "package db" + strings.Repeat("\n", fileLinesMax+1),
			"db/b_test.go": "package db" + strings.Repeat("\n", fileLinesMax+1),
		}, []string{"db/b.go has 601 lines"}},
		{"package docs", packageDocs, map[string]string{
			"db/doc.go":            "// Package db is\n// one of\n// those that\n// say it.\npackage db",
			"db/db.go":             "package db",
			"wal/doc.go":           "// Package wal is\n// the log\n// of logs.\npackage wal",
			"vlog/vlog.go":         "// Package vlog is\n// said\n// in the\n// wrong file.\npackage vlog",
			"examples/e/main.go":   "package main",
			"test/only/it_test.go": "package only",
		}, []string{"test/only: doc.go", "vlog: doc.go", "wal: doc.go has a comment of 3 lines"}},
		{"drawers", names, map[string]string{
			"internal/util/a.go": "package util",
			"db/helper.go":       "package db",
			"db/misc_test.go":    "package db",
			"db/commonly.go":     "package db",
		}, []string{"internal/util/a.go", "internal/util/a.go", "db/helper.go", "db/misc_test.go"}},
		{"comments", comments, map[string]string{
			"db/a.go": "package db\nfunc A() {}\nfunc (t *t) B() {}\nfunc (t *T[X]) C() {}\n// D is.\nfunc D() {}\nfunc e() {}",
			"db/b.go": "package db\ntype F int\nconst (\n\tG = 1 // is\n\t// H is.\n\tH = 2\n\tI = 3\n)\n// All are.\nvar (\n\tJ = 1\n\tk = 2\n)",
			"db/c.go": "package db\n// These are.\ntype (\n\tL int\n\t// M is.\n\tM int\n)",
		}, []string{"A has no comment", "C has no comment", "F has no comment", "I has no comment", "L has no comment"}},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			got := c.rule(planted(t, c.files))
			for _, want := range c.want {
				i := slices.IndexFunc(got, func(v string) bool { return strings.Contains(v, want) })
				if i < 0 {
					t.Errorf("not found: %s", want)
					continue
				}
				got = slices.Delete(got, i, i+1)
			}
			for _, v := range got {
				t.Errorf("found without reason: %s", v)
			}
		})
	}
}

func TestDirectDependenciesAreCounted(t *testing.T) {
	mod := "module m\n\ngo 1.26\n\nrequire a v1\nrequire (\n\tb v1\n\tc v1 // indirect\n\t// d v1\n)\n\nreplace e => ../e\n\nrequire f v1 // indirect\n"
	if got := directDependencies(mod); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("direct dependencies %v, want a and b", got)
	}
}
