package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// config is what the flags say. Immutable once parsed.
type config struct {
	dir         string
	force, keep bool
	threads     int
	sync        bool
	seed        uint64
	memory      int
	quiet       bool
	jsonPath    string
	cpuProfile  string
	memProfile  string

	// Of the standard phases.
	keys      int // 0: chosen by the length of values
	values    []int
	phases    []phase
	limit     time.Duration
	writeRate int

	// Of files.
	tree  string
	kill  bool
	kills int
}

// options is how stores are opened.
func (c *config) options() *db.Options {
	o := &db.Options{Durability: db.NoSync, MemoryMax: int64(c.memory)}
	if c.sync {
		o.Durability = db.Sync
	}
	return o
}

// usageError is a mistake on the command line: exit status 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usageErrorf(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// sizeFlag is a flag with a number of bytes.
type sizeFlag struct{ bytes *int }

func (f sizeFlag) String() string {
	if f.bytes == nil || *f.bytes == 0 {
		return ""
	}
	return size(uint64(*f.bytes))
}

func (f sizeFlag) Set(s string) (err error) {
	*f.bytes, err = parseSize(s)
	return err
}

// commonFlags are those of both commands.
func commonFlags(name string, c *config) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error, once
	flags.StringVar(&c.dir, "dir", "", "work in a new folder inside `DIR`, which must be empty or not exist yet (default: the system's temporary folder)")
	flags.BoolVar(&c.force, "force", false, "work in a new folder inside -dir even if that is not empty; what is there stays untouched")
	flags.BoolVar(&c.keep, "keep", false, "leave the data where it is at the end, and say where")
	flags.IntVar(&c.threads, "threads", 2, "`number` of goroutines that work at once")
	flags.BoolVar(&c.sync, "sync", false, "every write waits until it survives power loss")
	flags.Uint64Var(&c.seed, "seed", 1, "`number` that decides keys, values and their order")
	flags.Var(sizeFlag{&c.memory}, "memory", "`bytes` that a store may keep in memory, such as 64MiB (default: the store's own)")
	flags.BoolVar(&c.quiet, "quiet", false, "show no progress")
	flags.StringVar(&c.jsonPath, "json", "", "write one JSON object for each phase, one a line, to `FILE`")
	flags.StringVar(&c.cpuProfile, "cpuprofile", "", "write a CPU profile to `FILE`")
	flags.StringVar(&c.memProfile, "memprofile", "", "write an allocation profile to `FILE` at the end")
	return flags
}

func phaseFlags(c *config, only, values *string) *flag.FlagSet {
	flags := commonFlags("kvbench", c)
	flags.IntVar(&c.keys, "n", 0, "`number` of keys in each set (default: by the length of values, see above)")
	flags.StringVar(values, "value", "100,1KiB", "`lengths` of values, one set for each, separated by commas")
	flags.StringVar(only, "only", "", "`list` of phases to run, in this order, separated by commas (default: all)")
	flags.DurationVar(&c.limit, "limit", 4*time.Second, "longest `time` for a phase that only reads; 0 for no limit")
	flags.IntVar(&c.writeRate, "writerate", 10_000, "puts per second of readwhilewriting's writer: a `number`")
	return flags
}

func fileFlags(c *config) *flag.FlagSet {
	flags := commonFlags("kvbench files", c)
	flags.BoolVar(&c.kill, "kill", false, "store the files in a child process that is killed again and again; check after each kill")
	flags.IntVar(&c.kills, "kills", 20, "how often -kill kills: a `number`")
	return flags
}

// parsePhases reads the flags of the standard command.
func parsePhases(args []string) (*config, error) {
	c := &config{}
	var only, values string
	if err := parse(phaseFlags(c, &only, &values), args, 0); err != nil {
		return nil, err
	}
	if c.keys < 0 {
		return nil, usageErrorf("-n %d: there must be at least one key", c.keys)
	}
	if c.writeRate < 1 {
		return nil, usageErrorf("-writerate %d: must be at least 1", c.writeRate)
	}
	if c.limit < 0 {
		return nil, usageErrorf("-limit %v: must not be negative", c.limit)
	}
	for text := range strings.SplitSeq(values, ",") {
		n, err := parseSize(text)
		if err != nil {
			return nil, usageErrorf("-value: %v", err)
		}
		if n < valueHeaderBytes || n > db.MaxValueBytes {
			return nil, usageErrorf("-value %s: must be from %d bytes, which identify it, to %s", text, valueHeaderBytes, size(db.MaxValueBytes))
		}
		c.values = append(c.values, n)
	}
	c.phases = standardPhases
	if only != "" {
		var err error
		if c.phases, err = findPhases(only); err != nil {
			return nil, err
		}
	}
	return c, c.check()
}

// parseFiles reads the flags of the files command.
func parseFiles(args []string) (*config, error) {
	c := &config{}
	flags := fileFlags(c)
	if err := parse(flags, args, 1); err != nil {
		return nil, err
	}
	c.tree = flags.Arg(0)
	if c.kills < 1 {
		return nil, usageErrorf("-kills %d: must be at least 1", c.kills)
	}
	killsSet := false
	flags.Visit(func(f *flag.Flag) { killsSet = killsSet || f.Name == "kills" })
	if killsSet && !c.kill {
		return nil, usageErrorf("-kills is for -kill")
	}
	return c, c.check()
}

func parse(flags *flag.FlagSet, args []string, operands int) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return &usageError{err.Error()}
	}
	if flags.NArg() > operands {
		return usageErrorf("unexpected argument %q", flags.Arg(operands))
	}
	return nil
}

func (c *config) check() error {
	switch {
	case c.threads < 1 || c.threads > 1024:
		return usageErrorf("-threads %d: must be from 1 to 1024", c.threads)
	case c.memory != 0 && c.memory < 1<<20:
		return usageErrorf("-memory %d: must be at least 1 MiB", c.memory)
	case c.force && c.dir == "":
		return usageErrorf("-force is for -dir")
	}
	return nil
}
