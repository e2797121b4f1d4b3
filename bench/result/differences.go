package result

import (
	"fmt"
	"slices"
	"strings"
)

// differences lists what differs between two runs beside what was measured, and
// may explain it.
func differences(old, new *Run) []string {
	var list []string
	note := func(what string, a, b any) {
		if a != b {
			list = append(list, fmt.Sprintf("%s: %v in the old run, %v in the new", what, a, b))
		}
	}
	a, b := &old.Machine, &new.Machine
	note("operating system", a.OS+"/"+a.Arch, b.OS+"/"+b.Arch)
	note("kernel", a.Kernel, b.Kernel)
	note("processor", a.CPU, b.CPU)
	note("number of processors", a.Processors, b.Processors)
	note("memory in MiB", a.MemoryBytes>>20, b.MemoryBytes>>20)
	note("file system", a.FileSystem, b.FileSystem)
	note("device", a.Device, b.Device)
	note("Go version", a.GoVersion, b.GoVersion)
	if x, y := a.FsyncP50NS, b.FsyncP50NS; x > 0 && y > 0 && (x > 3*y/2 || y > 3*x/2) {
		note("time of an fsync in µs", x/1000, y/1000)
	}
	note("threads", old.Threads, new.Threads)
	note("durable commits (sync)", old.Sync, new.Sync)
	note("cold cache", old.Cold, new.Cold)
	note("verification", old.Verify, new.Verify)
	note("seed", old.Seed, new.Seed)
	note("rate", old.Rate, new.Rate)
	for _, s := range old.Sets {
		i := slices.IndexFunc(new.Sets, func(t Set) bool { return t.Name == s.Name })
		if i >= 0 {
			note("shape of set "+s.Name, s, new.Sets[i])
		}
	}
	for i := range old.Engines {
		e := &old.Engines[i]
		if j := slices.IndexFunc(new.Engines, func(f Engine) bool { return f.Name == e.Name }); j >= 0 {
			f := &new.Engines[j]
			note("version of "+e.Name, e.Version, f.Version)
			note("settings of "+e.Name, strings.Join(changedSettings(e, f), ", "), strings.Join(changedSettings(f, e), ", "))
		}
	}
	return list
}

// changedSettings are those of e that f does not have in the same way.
func changedSettings(e, f *Engine) []string {
	var changed []string
	for _, s := range e.Settings {
		if !slices.ContainsFunc(f.Settings, func(t Setting) bool { return t.Name == s.Name && t.Value == s.Value }) {
			changed = append(changed, s.Name+" = "+s.Value)
		}
	}
	return changed
}
