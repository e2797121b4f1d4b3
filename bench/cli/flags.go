package cli

import (
	"cmp"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Groups of flags, in the order of the help.
const (
	groupData    = "Data"
	groupWork    = "Work"
	groupEngines = "Engines"
	groupRounds  = "Rounds"
	groupGates   = "Gates"
	groupOutput  = "Output"
	groupSession = "Session"
)

var groupOrder = []string{groupWork, groupData, groupEngines, groupRounds, groupGates, groupOutput, groupSession}

// groupAnnotation is where a flag keeps its group.
const groupAnnotation = "kvbench_group"

// addGroup adds the flags that define makes, as a group of the help.
func addGroup(c *cobra.Command, group string, define func(*pflag.FlagSet)) {
	added := pflag.NewFlagSet(group, pflag.ContinueOnError)
	added.SortFlags = false
	define(added)
	added.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{groupAnnotation: {group}}
		c.Flags().AddFlag(f)
	})
}

// benchFlags are those of the commands that measure engines with workloads.
func benchFlags(c *cobra.Command, s *settings) {
	addGroup(c, groupWork, s.workFlags)
	addGroup(c, groupData, s.dataFlags)
	addGroup(c, groupEngines, s.engineFlags)
	addGroup(c, groupRounds, s.roundFlags)
	addGroup(c, groupGates, s.gateFlags)
	addGroup(c, groupOutput, s.outputFlags)
	addGroup(c, groupSession, s.sessionFlags)
}

func (s *settings) dataFlags(f *pflag.FlagSet) {
	f.Var(countValue[int]{&s.keys}, "n", "`number` of keys in each set (default: by the length of values, 500,000 at most)")
	f.StringArrayVar(&s.values, "value", s.values, "`lengths` of values, one set for each, separated by commas; or a distribution of lengths: see kvbench list sizes")
	f.IntVar(&s.keyBytes, "key", 16, "length of keys in `bytes`")
	f.Float64Var(&s.compress, "compress", 0.5, "what values compress to, as a `part` of their length: 1 for not at all")
	f.Uint64Var(&s.seed, "seed", 1, "`number` that decides keys, values and their order")
}

func (s *settings) workFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&s.only, "only", nil, "`workloads` to run, in this order, separated by commas; the same as naming them as arguments")
	f.StringArrayVar(&s.mixes, "mix", nil, "run the workload that the TOML `file` describes, too; may be repeated")
	f.Var(countValue[uint64]{&s.ops}, "ops", "`number` of operations of each workload (default: the workload's own)")
	f.DurationVar(&s.duration, "duration", 0, "run each workload for that `time`, however many operations that makes")
	f.DurationVar(&s.limit, "limit", cmp.Or(s.limit, 4*time.Second), "longest `time` for a workload that only reads; 0 for no limit")
	f.DurationVar(&s.warmup, "warmup", 0, "`time` at the start of each workload that is not counted")
	f.IntVar(&s.threads, "threads", 2, "`number` of goroutines that work at once")
	f.Var(rateValue{&s.rate}, "rate", "operations due per second, a `number` for all threads together; latencies count from when an operation was due (default: as fast as possible)")
	f.BoolVar(&s.poisson, "poisson", false, "with -rate: operations are due at random moments, as those of many users are")
	s.writeRate = 10_000
	f.Var(rateValue{&s.writeRate}, "writerate", "writes per second, a `number`, of the writer beside readers in readwhilewriting and the like")
	f.IntVar(&s.scan, "scan", 0, "`number` of entries that a scan reads (default: the workload's own)")
	f.IntVar(&s.batch, "batch", 0, "`number` of writes in a batch (default: the workload's own)")
	f.IntVar(&s.multiGet, "multiget", 0, "`number` of keys in a read of several (default: the workload's own)")
	f.BoolVar(&s.cold, "cold", false, "start each workload that reads with nothing of the store in any cache")
	f.BoolVar(&s.verify, "verify", true, "check every byte that is read")
}

// engineDefault tells what is measured without -engine.
func (s *settings) engineDefault() string {
	if s.allEngines {
		return "all that are linked in"
	}
	if e, ok := defaultEngine(); ok {
		return e.Name
	}
	return "the first that is linked in"
}

func (s *settings) replayFlags(f *pflag.FlagSet) {
	f.BoolVar(&s.info, "info", false, "show what the trace holds, and replay nothing")
	f.Float64Var(&s.speed, "speed", 0, "how fast, as a `multiple` of the recorded speed; latencies count from when an operation was due (default: as fast as possible)")
	f.IntVar(&s.threads, "threads", 2, "`number` of goroutines that work at once")
	f.Uint64Var(&s.seed, "seed", 1, "`number` that decides the contents of values")
	f.DurationVar(&s.duration, "duration", 0, "stop after that `time`")
	f.BoolVar(&s.verify, "verify", true, "check every byte that is read")
}

func (s *settings) engineFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&s.engines, "engine", nil, "`engines` to measure, separated by commas, see kvbench list engines; pebble@PROGRAM is the one in another kvbench program (default: "+s.engineDefault()+")")
	s.storeFlags(f)
}

// storeFlags say how stores are opened.
func (s *settings) storeFlags(f *pflag.FlagSet) {
	f.BoolVar(&s.sync, "sync", false, "every write waits until it survives power loss (default: the death of the process)")
	f.Var(bytesValue{&s.memory}, "memory", "memory in `bytes` that a store may use: half for its cache, half for memtables (default: 512MiB)")
	f.Var(bytesValue{&s.memtable}, "memtable", "size of a memtable in `bytes`; there may be four (default: 64MiB)")
	f.Var(bytesValue{&s.cache}, "cache", "size of the cache in `bytes`, for blocks, filters and indexes (default: 256MiB)")
	f.IntVar(&s.filter, "filter", 10, "size of filters in `bits` for each key; 0 for none")
	f.StringVar(&s.compression, "compression", "default", "`kind` of compression of blocks: default, which is the engine's own, or none")
}

func (s *settings) roundFlags(f *pflag.FlagSet) {
	f.IntVar(&s.rounds, "rounds", max(1, s.rounds), "`number` of rounds; each runs every engine once, in rotating order")
	s.compareFlags(f)
}

// compareFlags say how engines are compared in the outputs.
func (s *settings) compareFlags(f *pflag.FlagSet) {
	f.StringVar(&s.baselineEngine, "baseline-engine", "", "`engine` that the others are compared with (default: cordwood, else the first)")
	f.StringVar(&s.title, "title", "", "`text` to name the run with in the outputs")
}

func (s *settings) gateFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&s.slo, "slo", nil, "`objectives` that have to be met, such as 'read.p99<=300us,write.rate>=100k', else the status is 3; see kvbench list metrics")
	f.StringVar(&s.baseline, "baseline", "", "compare with the saved run in `file`; the status is 4 if anything got worse by more than -max-regress")
	s.maxRegress = 0.05
	f.Var(partValue{&s.maxRegress}, "max-regress", "with -baseline: what may be lost, a `part` of 1 or in percent")
	s.confidence = 0.95
	f.Var(partValue{&s.confidence}, "confidence", "`level` of confidence of intervals and of -baseline's verdicts")
}

func (s *settings) outputFlags(f *pflag.FlagSet) {
	f.StringVar(&s.json, "json", "", "save the run as JSON lines in `file`, as it goes; - is standard output, and then no table is printed there")
	f.StringVar(&s.csv, "csv", "", "write CSV to `file`, or - for standard output")
	f.StringVar(&s.gobench, "gobench", "", "write Go's benchmark format, for benchstat, to `file`, or - for standard output")
	f.StringVar(&s.html, "html", "", "write a self-contained HTML report with plots to `file`, or - for standard output")
	f.BoolVar(&s.force, "force", false, "overwrite output files that exist; work inside -dir even if it is not empty, what is there stays untouched")
}

func (s *settings) sessionFlags(f *pflag.FlagSet) {
	f.StringVar(&s.dir, "dir", "", "work in a new folder inside `folder`, which must be empty or not exist yet (default: the system's temporary folder)")
	f.BoolVar(&s.keep, "keep", false, "leave the data where it is at the end, and say where")
	f.BoolVar(&s.quiet, "quiet", false, "show no progress")
	f.StringVar(&s.cpuProfile, "cpuprofile", "", "write a CPU profile of each engine to `file`")
	f.StringVar(&s.memProfile, "memprofile", "", "write an allocation profile of each engine to `file` at the end")
}

func (s *settings) fileFlags(f *pflag.FlagSet) {
	f.BoolVar(&s.kill, "kill", false, "store the files in a child process that is killed again and again; check after each kill")
	f.IntVar(&s.kills, "kills", 20, "how often -kill kills: a `number`")
	f.IntVar(&s.threads, "threads", 2, "`number` of goroutines that work at once")
	f.Uint64Var(&s.seed, "seed", 1, "`number` that decides the moments of -kill")
}

// isSet reports whether a flag was given.
func isSet(c *cobra.Command, name string) bool {
	f := c.Flags().Lookup(name)
	return f != nil && f.Changed
}
