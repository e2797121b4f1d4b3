package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// job is a test program with what of it is to run: a check, or a fuzz target.
type job struct {
	check  string // the check it belongs to
	name   string // how it is called in a line of progress
	binary string
	dir    string // where it runs: its package's folder
	run    string // the test, or the fuzz target
	fuzz   bool
	again  string // what repeats it, after the environment
	weight float64
}

// tree is the source tree, with the test programs that were built from it.
type tree struct {
	root string
	bin  string // folder of the programs
	race bool
}

// findTree finds the tree around the current folder.
func findTree(ctx context.Context, bin string, race bool) (*tree, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return nil, fmt.Errorf("the source tree of %s is not here: %w", module, err)
	}
	return &tree{root: strings.TrimSpace(string(out)), bin: bin, race: race}, nil
}

const module = "github.com/cordwood-db/cordwood"

// build builds the test program of a package.
func (t *tree) build(ctx context.Context, dir, pkg string, flags ...string) (string, error) {
	name := strings.NewReplacer("/", "-", ".", "_").Replace(dir + "-" + pkg + strings.Join(flags, ""))
	binary := filepath.Join(t.bin, name+".test")
	args := append([]string{"test", "-c", "-o", binary}, flags...)
	if t.race && len(flags) == 0 {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+pkg)...)
	cmd.Dir = filepath.Join(t.root, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the tests of %s: %w\n%s", filepath.Join(dir, pkg), err, out)
	}
	return binary, nil
}

// jobs builds what the settings ask for.
func (t *tree) jobs(ctx context.Context, s *settings) ([]job, error) {
	var all []job
	for _, c := range checks {
		if !s.wants(c.name) || s.amount == "" && c.weight == 0 || s.amount == "ci" && c.layer {
			continue
		}
		var flags []string
		if c.race && s.amount != "ci" {
			flags = append(flags, "-race")
		}
		binary, err := t.build(ctx, c.module, c.pkg, flags...)
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(t.root, c.module, c.pkg)
		if s.amount == "ci" && slices.ContainsFunc(all, func(j job) bool { return j.dir == dir }) {
			continue // all tests of the package run with the first check of it
		}
		j := job{check: c.name, name: c.name, binary: binary, dir: dir, run: c.run,
			weight: float64(c.weight)}
		in := ""
		if c.module != "." {
			in = "cd " + c.module + " && "
		}
		args := append([]string{"go test -count=1"}, flags...)
		if s.amount != "ci" { // else all tests of the package run
			args = append(args, "-run '^"+c.run+"'")
		}
		j.again = in + strings.Join(append(args, "./"+c.pkg), " ")
		all = append(all, j)
	}
	if !s.wants(fuzzName) {
		return all, nil
	}
	targets, err := t.targets(ctx)
	for i := range targets {
		targets[i].weight = fuzzWeight / float64(len(targets))
	}
	return append(all, targets...), err
}

// targets builds the fuzz targets.
func (t *tree) targets(ctx context.Context) ([]job, error) {
	var all []job
	for _, pkg := range fuzzPackages {
		binary, err := t.build(ctx, ".", pkg, "-fuzz=.")
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(t.root, pkg)
		cmd := exec.CommandContext(ctx, binary, "-test.list", "^Fuzz")
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("listing the fuzz targets of %s: %w", pkg, err)
		}
		for line := range bytes.Lines(out) {
			name := strings.TrimSpace(string(line))
			if !strings.HasPrefix(name, "Fuzz") {
				continue
			}
			all = append(all, job{check: fuzzName, name: pkg + "." + name, binary: binary, dir: dir, run: name, fuzz: true,
				again: fmt.Sprintf("go test -run '^%s$' ./%s", name, pkg)})
		}
	}
	return all, nil
}

// wants reports whether a check is to be run.
func (s *settings) wants(name string) bool { return len(s.only) == 0 || slices.Contains(s.only, name) }

// known complains about names that are not those of checks.
func known(only []string) error {
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("no check is called %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	return nil
}
