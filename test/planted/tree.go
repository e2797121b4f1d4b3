//go:build planted

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// suite are the packages whose tests take part, in the order in which they are
// asked: those near the ground first, then the whole store.
var suite = []string{
	"internal/base", "internal/cache", "internal/commit", "internal/compress", "internal/filter",
	"internal/iterator", "internal/rangedel", "internal/record", "vfs",
	"memtable", "sstable", "wal", "vlog", "manifest", "compaction", "db",
	"test/model", "test/fault", "test/damage", "test/crash", "test/process", "test/isolation",
	"test/space", "test/memory", "test/limits", "test/fuzz", "mvcc", "typed",
}

// module is that of the engine.
const module = "github.com/cordwood-db/cordwood"

// tree is the source tree with the test programs that were built from it.
type tree struct {
	root     string
	work     string              // temporary: replaced files, programs, folders of tests
	bin      string              // of the programs, if they are to stay
	imports  map[string][]string // packages of the engine under the tests of each of suite
	mutants  []mutation
	verbose  bool
	near     bool   // ask only who is likely to notice
	seed     string // CORDWOOD_SEED of all runs; empty: their own
	programs map[string]string
}

// findRoot is the root of the tree around the current folder.
func findRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("the source tree of %s is not here: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// overlayFile writes the overlay of the mutations and returns its name.
func (t *tree) overlayFile() (string, error) {
	files := filepath.Join(t.work, "files")
	if err := os.MkdirAll(files, 0o777); err != nil {
		return "", err
	}
	replace, err := overlay(t.root, files, t.mutants)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(t.work, "overlay.json")
	return name, os.WriteFile(name, b, 0o666)
}

// goCommand runs the go command in the root.
func (t *tree) goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out, err
}

// build builds all test programs, with all mutations in them, unless they are
// there already.
func (t *tree) build(ctx context.Context) error {
	bin, err := filepath.Abs(cmp.Or(t.bin, filepath.Join(t.work, "bin")))
	if err != nil {
		return err
	}
	t.programs = make(map[string]string)
	missing := false
	for _, p := range suite {
		t.programs[p] = filepath.Join(bin, path.Base(p)+".test")
		_, err := os.Stat(t.programs[p])
		missing = missing || err != nil
	}
	if missing {
		if err := t.compile(ctx, bin); err != nil {
			return err
		}
	}
	return t.readImports(ctx)
}

func (t *tree) compile(ctx context.Context, bin string) error {
	name, err := t.overlayFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(bin, 0o777); err != nil {
		return err
	}
	args := []string{"test", "-c", "-vet=off", "-overlay=" + name, "-o", bin + string(filepath.Separator)}
	for _, p := range suite {
		args = append(args, "./"+p)
	}
	_, err = t.goCommand(ctx, args...)
	return err
}

// readImports finds what each test program consists of.
func (t *tree) readImports(ctx context.Context) error {
	args := []string{"list", "-test", "-f", `{{.ImportPath}} {{join .Deps " "}}`}
	for _, p := range suite {
		args = append(args, "./"+p)
	}
	out, err := t.goCommand(ctx, args...)
	if err != nil {
		return err
	}
	t.imports = make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		p, ok := strings.CutSuffix(fields[0], ".test")
		if !ok {
			continue
		}
		p = strings.TrimPrefix(p, module+"/")
		for _, dep := range fields[1:] {
			if own, ok := strings.CutPrefix(dep, module+"/"); ok {
				t.imports[p] = append(t.imports[p], own)
			}
		}
	}
	return nil
}

// probe is a package's tests, or those of them whose name matches only.
type probe struct{ pkg, only string }

// order is what to ask about a mutation: its own hints, the tests beside its
// file, then all of suite that has it in its program.
func (t *tree) order(m *mutation) (probes []probe) {
	add := func(p probe) {
		if t.programs[p.pkg] != "" && !slices.Contains(probes, p) && slices.Contains(t.imports[p.pkg], m.dir()) {
			probes = append(probes, p)
		}
	}
	for hint := range strings.FieldsSeq(m.first) {
		pkg, only, _ := strings.Cut(hint, ":")
		add(probe{pkg, only})
	}
	if t.near && len(probes) > 0 {
		return probes
	}
	add(probe{pkg: m.dir()})
	if t.near {
		return probes
	}
	for _, pkg := range suite {
		add(probe{pkg: pkg})
	}
	return probes
}
