package cli

import (
	"time"

	"github.com/spf13/cobra"
)

// runCommand is "kvbench run".
func (a *app) runCommand() *cobra.Command {
	s := &settings{values: []string{"1KiB"}}
	c := &cobra.Command{
		Use:   "run [flags] [WORKLOAD...]",
		Short: "Run workloads, by name or from a file, on one or more engines",
		Long: `Run runs workloads on one or more engines, each in a process of its own. A workload
is a name that "` + a.program + ` list workloads" shows, or the path of a TOML file that describes
a mix of operations. Without one, the standard workloads are run. They run in the order
given, on the same store; one that needs data starts with a store that is filled first.`,
		Example: examples(
			"one workload", a.program+" run readrandom",
			"YCSB A and B at a fixed rate on two engines, five rounds", a.program+" run -engine cordwood,pebble -rounds 5 -rate 20k ycsb-a ycsb-b",
			"a mix of your own, with sizes as in production", a.program+" run -value etc -n 1M ./mymix.toml",
			"fail when an objective is missed", a.program+" run -slo 'read.p99<=300us,read.rate>=100k' readwhilewriting",
			"compare with an older program, in turn", a.program+" run -engine cordwood,cordwood@./old-kvbench -rounds 10 fillrandom",
			"no slower than the run that was saved", a.program+" run -baseline main.json -max-regress 5% -rounds 5"),
		ValidArgsFunction: completeWorkloads,
		RunE: func(c *cobra.Command, args []string) error {
			return a.bench(c, s, append(s.only, args...))
		},
	}
	benchFlags(c, s)
	return c
}

// compareCommand is "kvbench compare".
func (a *app) compareCommand() *cobra.Command {
	s := &settings{values: []string{"1KiB"}, rounds: compareRounds, limit: compareLimit, allEngines: true}
	c := &cobra.Command{
		Use:   "compare [flags] [WORKLOAD...]",
		Short: "Measure engines side by side, in several rounds",
		Long: `Compare measures engines side by side: all that are linked in, unless -engine names
some. Rounds rotate their order (A B C, then B C A), so that what the machine does
meanwhile hits all of them. The ratio to the baseline engine has an interval of
confidence: where it includes 1, the difference may be chance.`,
		Example: examples(
			"all engines", a.program+" compare",
			"some, with what matters to you", a.program+" compare -engine cordwood,pebble,badger -value 4KiB -n 200k ycsb-a ycsb-f",
			"as durable as can be, with a report to look at", a.program+" compare -sync -html report.html fillrandom",
			"reads with nothing in any cache", a.program+" compare -cold -rounds 5 readrandom seekrandom"),
		ValidArgsFunction: completeWorkloads,
		RunE: func(c *cobra.Command, args []string) error {
			names := append(s.only, args...)
			if len(names)+len(s.mixes) == 0 {
				names = compareWorkloads
			}
			if !isSet(c, "n") && !isSet(c, "value") {
				s.keys = compareKeys
			}
			return a.bench(c, s, names)
		},
	}
	benchFlags(c, s)
	return c
}

// What compare does without flags: a few minutes for half a dozen engines.
const (
	compareRounds = 3
	compareKeys   = 100_000
	compareLimit  = 2 * time.Second
)

var compareWorkloads = []string{"fillrandom", "overwrite", "readrandom", "readmissing", "seekrandom", "readwhilewriting", "ycsb-a"}

// replayCommand is "kvbench replay".
func (a *app) replayCommand() *cobra.Command {
	s := &settings{}
	c := &cobra.Command{
		Use:   "replay [flags] TRACE",
		Short: "Replay the recorded operations of an application on any engine",
		Long: `Replay does what an application did, on any engine. TRACE is a file that package
bench/trace wrote: it records operations through a thin wrapper of the database.`,
		Example: examples(
			"what a trace holds", a.program+" replay -info app.trace",
			"as fast as possible", a.program+" replay app.trace",
			"as fast as it was recorded, on two engines", a.program+" replay -speed 1 -engine cordwood,badger app.trace",
			"twice as fast, with objectives", a.program+" replay -speed 2 -slo 'read.p99<=1ms' app.trace"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageOf(c, usageErrorf("name the trace to replay"))
			}
			return atMost(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if s.info {
				return a.traceInfo(args[0])
			}
			return a.replay(c, s, args[0])
		},
	}
	addGroup(c, groupWork, s.replayFlags)
	addGroup(c, groupEngines, s.engineFlags)
	addGroup(c, groupRounds, s.roundFlags)
	addGroup(c, groupGates, s.gateFlags)
	addGroup(c, groupOutput, s.outputFlags)
	addGroup(c, groupSession, s.sessionFlags)
	return c
}
