//go:build planted

package main

import (
	"fmt"
	"go/format"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutation is a bug to plant.
type mutation struct {
	name    string
	promise string // the README's number of the promise it breaks, or "limits", "memory"
	breaks  string // what goes wrong, in a sentence
	file    string // from the root
	old     string // occurs once in file
	new     string // in its place; PLANTED stands for the question whether it is on
	first   string // tests to try before those that come by themselves: packages, or package:regexp
}

// catalog is the list, by area.
var catalog = []struct {
	area string
	list []mutation
}{
	{"durability", durability},
	{"write-ahead log", walBugs},
	{"recovery", recoveryBugs},
	{"manifest", manifestBugs},
	{"value log", vlogBugs},
	{"garbage collection", gcBugs},
	{"tables", tableBugs},
	{"compaction", compactionBugs},
	{"snapshots", snapshotBugs},
	{"cursors", cursorBugs},
	{"transactions", transactionBugs},
	{"keyspaces", keyspaceBugs},
	{"change feed", feedBugs},
	{"expiry", ttlBugs},
	{"owners and disks", ownerBugs},
	{"limits", limitBugs},
}

// mutations are those of the catalog whose name matches.
func mutations(match *regexp.Regexp) (all []mutation) {
	for _, c := range catalog {
		for _, m := range c.list {
			if match.MatchString(m.name) {
				all = append(all, m)
			}
		}
	}
	return all
}

// dir is the folder of the package that the mutation is in.
func (m *mutation) dir() string { return path.Dir(m.file) }

// question is what PLANTED becomes.
func (m *mutation) question() string { return fmt.Sprintf("planted.On(%q)", m.name) }

// switchPackage is imported by every file that has a mutation.
const switchPackage = "github.com/cordwood-db/cordwood/internal/testkit/planted"

var packageClause = regexp.MustCompile(`(?m)^package \w+$`)

// plant returns a file's source with all of the given mutations, which are of
// that file.
func plant(src string, list []mutation) ([]byte, error) {
	type edit struct {
		from, to int
		m        *mutation
	}
	var edits []edit
	for i := range list {
		m := &list[i]
		if n := strings.Count(src, m.old); n != 1 {
			return nil, fmt.Errorf("%s: the text to replace is %d times in %s: %q", m.name, n, m.file, m.old)
		}
		if !strings.Contains(m.new, "PLANTED") {
			return nil, fmt.Errorf("%s: the new text does not ask PLANTED", m.name)
		}
		at := strings.Index(src, m.old)
		edits = append(edits, edit{at, at + len(m.old), m})
	}
	slices.SortFunc(edits, func(a, b edit) int { return b.from - a.from }) // from the end
	before := len(src)
	for _, e := range edits {
		if e.to > before {
			return nil, fmt.Errorf("%s: overlaps the mutation behind it", e.m.name)
		}
		before = e.from
		src = src[:e.from] + strings.ReplaceAll(e.m.new, "PLANTED", e.m.question()) + src[e.to:]
	}
	at := packageClause.FindStringIndex(src)
	if at == nil {
		return nil, fmt.Errorf("%s: no package clause", list[0].file)
	}
	out, err := format.Source([]byte(src[:at[1]] + "\n\nimport \"" + switchPackage + "\"" + src[at[1]:]))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", list[0].file, err)
	}
	return out, nil
}

// overlay plants all mutations in copies of their files, in folder to, and
// returns what to replace: the go command's overlay, by absolute names.
func overlay(root, to string, list []mutation) (map[string]string, error) {
	byFile := make(map[string][]mutation)
	for _, m := range list {
		byFile[m.file] = append(byFile[m.file], m)
	}
	replace := make(map[string]string)
	for name, list := range byFile {
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		out, err := plant(string(src), list)
		if err != nil {
			return nil, err
		}
		copied := filepath.Join(to, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(copied, out, 0o666); err != nil {
			return nil, err
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = copied
	}
	return replace, nil
}
