package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/run"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// plan makes what package run carries out of the flags and the workloads' names,
// none for the standard ones.
func (s *settings) plan(c *cobra.Command, names []string) (*run.Plan, error) {
	p := &run.Plan{Title: s.title, Rounds: s.rounds, Keep: s.keep, CPUProfile: s.cpuProfile, MemProfile: s.memProfile}
	var err error
	if p.Engines, err = s.engineRefs(); err != nil {
		return nil, err
	}
	if p.Workloads, err = s.workloads(c, names); err != nil {
		return nil, err
	}
	if p.Sets, err = s.sets(c, p.Workloads); err != nil {
		return nil, err
	}
	if p.Settings, err = s.runSettings(); err != nil {
		return nil, err
	}
	if err := s.checkWork(c); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, usageErrorf("%v", err)
	}
	return p, nil
}

func (s *settings) engineRefs() ([]run.EngineRef, error) {
	found, err := s.contenders()
	if err != nil {
		return nil, err
	}
	var refs []run.EngineRef
	for _, c := range found {
		refs = append(refs, run.EngineRef{Name: c.engine, Program: c.program})
	}
	return refs, nil
}

// runSettings are what is the same for all phases.
func (s *settings) runSettings() (run.Settings, error) {
	options, err := s.storeOptions()
	if err != nil {
		return run.Settings{}, err
	}
	return run.Settings{
		Options: options, Threads: s.threads, Seed: s.seed, Sync: s.sync, Cold: s.cold, Verify: s.verify,
		Operations: s.ops, Duration: s.duration, ReadLimit: s.limit, Warmup: s.warmup, Rate: s.rate, Poisson: s.poisson,
		WriteRate: s.writeRate, BatchSize: s.batch, ScanEntries: s.scan, MultiGet: s.multiGet,
	}, nil
}

// The parts of -memory: half for the cache, half for the memtables.
const (
	memoryMin       = 1 << 20
	memoryForCache  = 2
	memoryMemtables = 2
)

// storeOptions are how stores are opened.
func (s *settings) storeOptions() (engine.Options, error) {
	o := engine.DefaultOptions()
	if s.memory != 0 {
		if s.memory < memoryMin {
			return o, usageErrorf("-memory %d: must be at least 1 MiB", s.memory)
		}
		o.CacheBytes = s.memory / memoryForCache
		o.MemtableBytes = s.memory / memoryMemtables / int64(o.MemtablesMax)
	}
	if s.memtable != 0 {
		o.MemtableBytes = s.memtable
	}
	if s.cache != 0 {
		o.CacheBytes = s.cache
	}
	switch kind := engine.Compression(s.compression); kind {
	case engine.CompressionDefault, engine.CompressionNone:
		o.Compression = kind
	default:
		return o, usageErrorf("unknown compression %q%s", s.compression,
			didYouMean(s.compression, []string{string(engine.CompressionDefault), string(engine.CompressionNone)}))
	}
	o.Sync, o.Threads, o.FilterBits = s.sync, s.threads, s.filter
	if s.filter < 0 || s.filter > 64 {
		return o, usageErrorf("-filter %d: must be from 0 to 64 bits a key", s.filter)
	}
	return o, nil
}

// checkWork refuses flags that make no sense, alone or together.
func (s *settings) checkWork(c *cobra.Command) error {
	switch {
	case s.threads < 1 || s.threads > 1024:
		return usageErrorf("-threads %d: must be from 1 to 1024", s.threads)
	case s.rounds < 1:
		return usageErrorf("-rounds %d: must be at least 1", s.rounds)
	case s.limit < 0 || s.duration < 0 || s.warmup < 0:
		return usageErrorf("-limit, -duration and -warmup must not be negative")
	case isSet(c, "ops") && s.ops == 0:
		return usageErrorf("-ops 0: there must be at least one")
	case s.ops > 0 && s.duration > 0:
		return usageErrorf("-ops and -duration are two ways to say when to end: choose one")
	case s.poisson && s.rate == 0:
		return usageErrorf("-poisson is for -rate")
	case s.scan < 0 || s.batch < 0 || s.multiGet < 0:
		return usageErrorf("-scan, -batch and -multiget must not be negative")
	}
	return nil
}

// findWorkload finds a workload by its name.
func findWorkload(name string) (*workload.Workload, bool) { return workload.Find(name) }

func workloadNames() []string {
	var names []string
	for _, w := range workload.All() {
		names = append(names, w.Name)
	}
	return names
}

// workloads are what names and -mix say; the standard ones if they say nothing.
func (s *settings) workloads(c *cobra.Command, names []string) ([]*workload.Workload, error) {
	var list []*workload.Workload
	for _, name := range names {
		w, err := s.oneWorkload(c, strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	for _, path := range s.mixes {
		w, err := s.readMix(c, path)
		if err != nil {
			return nil, usageErrorf("-mix: %v", err)
		}
		list = append(list, w)
	}
	if len(list) == 0 {
		list = workload.Standard()
	}
	return list, nil
}

// oneWorkload is a workload by name, or the mix in a file. What looks like a path
// is one.
func (s *settings) oneWorkload(c *cobra.Command, name string) (*workload.Workload, error) {
	if w, ok := workload.Find(name); ok {
		return w, nil
	}
	if strings.EqualFold(filepath.Ext(name), ".toml") || strings.ContainsAny(name, `/\`) {
		w, err := s.readMix(c, name)
		if err != nil {
			return nil, usageErrorf("%v", err)
		}
		return w, nil
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return nil, usageErrorf("unknown workload %q; to read a mix from the file of that name: .%c%s", name, filepath.Separator, name)
	}
	return nil, usageErrorf("unknown workload %q%s", name, didYouMean(name, workloadNames()))
}

// readMix reads the workload in a file. What the flags say about data comes before
// what the file says.
func (s *settings) readMix(c *cobra.Command, path string) (*workload.Workload, error) {
	w, err := workload.ReadMix(path)
	if err != nil {
		return nil, err
	}
	if isSet(c, "n") {
		w.Keys = s.keys
	}
	if isSet(c, "value") {
		w.Values = ""
	}
	if isSet(c, "key") {
		w.KeyBytes = 0
	}
	if isSet(c, "compress") {
		w.Compressibility = nil
	}
	return w, nil
}

// sets are the shapes of data that the flags ask for.
func (s *settings) sets(c *cobra.Command, workloads []*workload.Workload) ([]run.Set, error) {
	var sets []run.Set
	for _, text := range s.valueTexts() {
		sizes, err := workload.ParseSizes(text)
		if err != nil {
			return nil, usageErrorf("-value: %v", err)
		}
		keys := s.keys
		switch {
		case isSet(c, "n") && keys == 0:
			return nil, usageErrorf("-n 0: there must be at least one key")
		case keys == 0:
			keys = defaultKeys(s.keyBytes, sizes.Mean())
		}
		if s.compress < 0 || s.compress > 1 {
			return nil, usageErrorf("-compress %v: must be from 0 to 1", s.compress)
		}
		sets = append(sets, run.Set{Name: text, Keys: keys, KeyBytes: s.keyBytes, Values: text, Compressibility: s.compress})
	}
	return sets, nil
}

// valueTexts splits -value at its commas, but not a distribution that has some
// itself, such as normal:400,80.
func (s *settings) valueTexts() []string {
	var texts []string
	for _, value := range s.values {
		if strings.Contains(value, ":") {
			texts = append(texts, strings.TrimSpace(value))
			continue
		}
		for text := range strings.SplitSeq(value, ",") {
			texts = append(texts, strings.TrimSpace(text))
		}
	}
	return texts
}

// The standard run has to end within a minute on two processors: 156 MB of keys
// and values, but not over half a million keys.
const (
	defaultSetBytes = 156_000_000
	defaultKeysMin  = 1000
	defaultKeysMax  = 500_000
)

func defaultKeys(keyBytes int, valueBytes float64) int {
	return max(defaultKeysMin, min(defaultKeysMax, int(defaultSetBytes/(float64(keyBytes)+valueBytes))))
}

// errProfileExists refuses to overwrite a profile.
var errProfileExists = errors.New("exists: choose another name, or add -force to overwrite it")

// checkProfiles looks for profiles that would be overwritten: with several
// children, their names go before the extension.
func (s *settings) checkProfiles() error {
	if s.force {
		return nil
	}
	for flag, path := range map[string]string{"-cpuprofile": s.cpuProfile, "-memprofile": s.memProfile} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s: %s %w", flag, path, errProfileExists)
		}
		extension := filepath.Ext(path)
		before := strings.TrimSuffix(filepath.Base(path), extension) + "-"
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), before) && strings.HasSuffix(e.Name(), extension) {
				return fmt.Errorf("%s: %s %w", flag, filepath.Join(filepath.Dir(path), e.Name()), errProfileExists)
			}
		}
	}
	return nil
}
