package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cordwood-db/cordwood/bench/result"
)

// reportRuns makes outputs and verdicts of saved runs.
func (a *app) reportRuns(c *cobra.Command, s *settings, paths []string) (err error) {
	var runs []*result.Run
	for _, path := range paths {
		r, err := result.ReadFile(path)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	g, err := s.gatesOf(c)
	if err != nil {
		return usageOf(c, err)
	}
	r, notes, err := merge(runs, paths)
	if err != nil {
		return err
	}
	if s.title != "" {
		r.Title = s.title
	}
	if len(r.Phases) == 0 {
		return fmt.Errorf("%s: nothing was measured in it", paths[0])
	}
	baseline, err := s.baselineOf(engineLabels(r))
	if err != nil {
		return usageOf(c, err)
	}
	outs, err := a.openOutputs(s.outputPaths(), s.force)
	if err != nil {
		return usageOf(c, err)
	}
	defer func() { err = errors.Join(err, outs.close()) }()
	w := &writer{app: a, settings: s, outs: outs, baseline: baseline, notes: notes}
	return errors.Join(w.saved(r), w.all(r), w.judge(r, g))
}

// merge makes one run of several. Engines that are in more than one are told
// apart by the files' names. notes say what a reader has to know.
func merge(runs []*result.Run, paths []string) (merged *result.Run, notes []string, err error) {
	if len(runs) == 1 {
		return runs[0], nil, nil
	}
	in := map[string]int{} // how many runs have an engine
	for _, r := range runs {
		for _, name := range engineLabels(r) {
			in[name]++
		}
	}
	merged = &result.Run{Header: runs[0].Header}
	merged.Engines, merged.Sets = nil, nil
	complete := true
	for i, r := range runs {
		rename := func(name string) string {
			if in[name] > 1 {
				return name + "@" + shortPath(i, paths)
			}
			return name
		}
		for _, e := range r.Engines {
			e.Name = rename(e.Name)
			merged.Engines = append(merged.Engines, e)
		}
		for _, p := range r.Phases {
			p.Engine = rename(p.Engine)
			merged.Phases = append(merged.Phases, p)
		}
		if err := addSets(merged, r, paths[i]); err != nil {
			return nil, nil, err
		}
		merged.Rounds = max(merged.Rounds, r.Rounds)
		complete = complete && r.Footer != nil
		notes = append(notes, differences(runs[0], r, paths[0], paths[i])...)
	}
	if complete {
		merged.Footer = runs[len(runs)-1].Footer
	}
	notes = append(notes, "These runs were not measured in turn: what the machine did meanwhile may differ between them.")
	return merged, notes, nil
}

// shortPath is a path's base name, or all of it if another has the same one.
func shortPath(i int, paths []string) string {
	base := filepath.Base(paths[i])
	for j, other := range paths {
		if j != i && filepath.Base(other) == base {
			return paths[i]
		}
	}
	return base
}

// addSets adds the sets of a run. Two of the same name must be alike, or their
// figures would stand side by side as if they could be compared.
func addSets(merged, r *result.Run, path string) error {
	for _, set := range r.Sets {
		i := slices.IndexFunc(merged.Sets, func(other result.Set) bool { return other.Name == set.Name })
		if i < 0 {
			merged.Sets = append(merged.Sets, set)
			continue
		}
		if merged.Sets[i] != set {
			return fmt.Errorf("%s: its set %s is another one (%d keys of %d bytes, values %s) than that of the runs before it (%d keys of %d bytes, values %s)",
				path, set.Name, set.Keys, set.KeyBytes, set.Values,
				merged.Sets[i].Keys, merged.Sets[i].KeyBytes, merged.Sets[i].Values)
		}
	}
	return nil
}

// differences tell in what two runs should be alike and are not.
func differences(a, b *result.Run, pathA, pathB string) []string {
	var notes []string
	differ := func(what string, x, y any) {
		if x != y {
			notes = append(notes, fmt.Sprintf("%s and %s differ in %s: %v and %v.", pathA, pathB, what, x, y))
		}
	}
	differ("the processor", a.Machine.CPU, b.Machine.CPU)
	differ("the number of processors", a.Machine.Processors, b.Machine.Processors)
	differ("the kernel", a.Machine.Kernel, b.Machine.Kernel)
	differ("the file system", a.Machine.FileSystem, b.Machine.FileSystem)
	differ("the number of threads", a.Threads, b.Threads)
	differ("-sync", a.Sync, b.Sync)
	differ("-cold", a.Cold, b.Cold)
	differ("-verify", a.Verify, b.Verify)
	differ("-rate", a.Rate, b.Rate)
	return notes
}
