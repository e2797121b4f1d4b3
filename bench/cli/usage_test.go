package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cordwood-db/cordwood/bench/run"
	"github.com/cordwood-db/cordwood/bench/workload"
)

func TestWrongArgumentsAreUsageErrors(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-nonsense", "unknown flag -nonsense"},
		{"-treads 3", "did you mean -threads?"},
		{"--treads 3", "did you mean -threads?"},
		{"nonsense", `unknown command "nonsense"`},
		{"comapre", "did you mean compare?"},
		{"readrandom", "kvbench run readrandom"},
		{"-n 10 extra", `unknown command "extra"`},
		{"-n -1", "-n -1: must not be negative"},
		{"-n 0", "at least one key"},
		{"-n many", `"many" is not a whole number`},
		{"-n", "-n needs a value"},
		{"-threads 0", "-threads 0"},
		{"-threads x", "-threads x: not a whole number"},
		{"-value 15", "16 bytes"},
		{"-value 100,huge", "huge"},
		{"-value 100,100", "100"},
		{"-only fillseq,readall", `unknown workload "readall"`},
		{"-only readrandm", "did you mean readrandom?"},
		{"-writerate 0", "-writerate 0"},
		{"-limit -1s", "-limit"},
		{"-limit fast", "not a time"},
		{"-memory 1000", "-memory"},
		{"-verify=perhaps", "neither true nor false"},
		{"-compression zip", `unknown compression "zip"; there are default, none`},
		{"-compress 2", "from 0 to 1"},
		{"-filter -1", "-filter"},
		{"-rounds 0", "-rounds"},
		{"-ops 0", "-ops 0"},
		{"-ops 10 -duration 1s", "choose one"},
		{"-poisson", "-poisson is for -rate"},
		{"-rate 0", "-rate 0"},
		{"-scan -1", "-scan"},
		{"-engine cordwod", "did you mean cordwood?"},
		{"-engine cordwood,cordwood", "twice"},
		{"-engine cordwood@./no-such-program", "no-such-program"},
		{"-slo read.p99", "limit"},
		{"-slo read.speed<=3", "speed"},
		{"-confidence 1.5", "-confidence"},
		{"-max-regress 5%", "-max-regress is for -baseline"},
		{"-max-regress lots", "-max-regress lots"},
		{"files -kills 3", "-kill"},
		{"files -kill -kills 0", "-kills 0"},
		{"files a b", `unexpected argument "b"`},
		{"files -only fillseq", "unknown flag -only"},
		{"files -engine cordwood@/bin/sh", "run and compare"},
		{"report", "name the files"},
		{"replay", "name the trace"},
		{"replay a b", `unexpected argument "b"`},
		{"replay -speed -1 a", "-speed"},
		{"list nothing", "nothing to list"},
		{"completion", "name the shell"},
		{"completion bsh", "did you mean bash"},
		{"help nonsense", "unknown command"},
		{"version 2", `unexpected argument "2"`},
	} {
		status, out, errs := kvbench(t, strings.Fields(c.args)...)
		if status != StatusUsage || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "-h\" for help.") ||
			!strings.HasPrefix(errs, "kvbench: ") {
			t.Errorf("kvbench %s: status %d, stdout %q, stderr %q; want %q in it", c.args, status, out, errs, c.want)
		}
	}
}

func TestEveryCommandHasHelpWithExamplesAndAllFlags(t *testing.T) {
	a := &app{program: "kvbench"}
	commands := append(a.root().Commands(), a.root())
	for _, c := range commands {
		if c.Hidden {
			continue
		}
		args := strings.Fields(c.CommandPath())[1:]
		status, out, errs := kvbench(t, append(args, "-h")...)
		if status != StatusOK || errs != "" || !strings.Contains(out, "Usage:\n  kvbench") {
			t.Errorf("%s -h: status %d\n%s%s", c.CommandPath(), status, out, errs)
		}
		if c.Name() != "help" && strings.Count(out, "\n  # ") < 1 {
			t.Errorf("%s: no examples", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(out, "\n  -"+f.Name) {
				t.Errorf("%s: its help lacks -%s", c.CommandPath(), f.Name)
			}
			if strings.Contains(f.Usage, "`") != (f.NoOptDefVal == "") {
				t.Errorf("%s -%s: its usage does not name what follows: %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
		for line := range strings.Lines(out) {
			if len([]rune(line)) > helpColumns+40 {
				t.Errorf("%s: a line of %d columns: %s", c.CommandPath(), len(line), line)
			}
		}
		if _, again, _ := kvbench(t, append([]string{"help"}, args...)...); again != out && c.Name() != "help" {
			t.Errorf("help %s says something else than -h", c.Name())
		}
	}
	if len(commands) < 9 {
		t.Errorf("only %d commands", len(commands))
	}
}

func TestExamplesCanBeParsed(t *testing.T) {
	a := &app{program: "kvbench"}
	for _, c := range append(a.root().Commands(), a.root()) {
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "#") {
				continue
			}
			args := strings.Fields(strings.ReplaceAll(line, "'", ""))
			if args[0] != "kvbench" {
				continue
			}
			root := a.root()
			command := commandOf(root, args[1:])
			given := doubleDashes(args[1:], command.Flags())
			if i := strings.IndexAny(strings.Join(given, " "), "|>"); i >= 0 && command.Name() == "completion" {
				continue
			}
			_, rest, err := root.Find(given)
			if err == nil {
				err = command.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

func TestListsAreReadable(t *testing.T) {
	for _, e := range sizes {
		if _, err := workload.ParseSizes(e.name); err != nil {
			t.Error(err)
		}
	}
	for _, e := range choosers {
		if _, err := workload.ParseChooser(e.name); err != nil {
			t.Error(err)
		}
	}
	for _, e := range objectives {
		_, example, _ := strings.Cut(e.text, ": ")
		s := &settings{slo: []string{example}, confidence: 0.95}
		if _, err := s.gates(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range metricNames() {
		s := &settings{slo: []string{name + "1"}, confidence: 0.95}
		if _, err := s.gates(); err != nil && !strings.Contains(err.Error(), "not a time") {
			t.Error(err)
		}
	}
	for _, name := range compareWorkloads {
		if _, ok := workload.Find(name); !ok {
			t.Errorf("compare runs %s, which is no workload", name)
		}
	}
}

func TestStatuses(t *testing.T) {
	other := errors.New("other")
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, StatusOK},
		{other, StatusFailed},
		{usageErrorf("x"), StatusUsage},
		{errMissed, StatusMissed},
		{errRegressed, StatusRegressed},
		{errors.Join(errMissed, errRegressed), StatusMissed},
		{errors.Join(nil, errors.Join(errRegressed)), StatusRegressed},
		{errors.Join(errMissed, other), StatusFailed},
		{errors.Join(other, context.Canceled, errMissed), StatusInterrupted},
	} {
		if got := statusOf(c.err); got != c.want {
			t.Errorf("%v: status %d, want %d", c.err, got, c.want)
		}
	}
}

// planOf is what the program without a command does with these flags.
func planOf(args ...string) (*run.Plan, error) {
	s := &settings{values: []string{"100,1KiB"}}
	c := &cobra.Command{}
	benchFlags(c, s)
	if err := c.ParseFlags(doubleDashes(args, c.Flags())); err != nil {
		return nil, err
	}
	return s.plan(c, s.only)
}

func TestDefaultsOfTheStandardRun(t *testing.T) {
	plan, err := planOf()
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Sets) != 2 || plan.Sets[0].Keys != 500_000 || plan.Sets[1].Keys != 150_000 || plan.Sets[1].KeyBytes != 16 || plan.Threads != 2 ||
		plan.Rounds != 1 || !plan.Verify || plan.Sync || len(plan.Workloads) != 9 || plan.Engines[0].Name != preferred {
		t.Errorf("%+v", plan)
	}
	if o := plan.Options; o.CacheBytes != 256<<20 || o.MemtableBytes != 64<<20 {
		t.Errorf("%+v", o)
	}
	plan, err = planOf("-memory", "64MiB", "-cache", "8MiB", "-value", "normal:400,80", "-value", "1k,100..200")
	if err != nil {
		t.Fatal(err)
	}
	if o := plan.Options; o.CacheBytes != 8<<20 || o.MemtableBytes != 8<<20 || o.MemtablesMax != 4 {
		t.Errorf("%+v", o)
	}
	var names []string
	for _, set := range plan.Sets {
		names = append(names, set.Name)
	}
	if got := strings.Join(names, " "); got != "normal:400,80 1k 100..200" {
		t.Errorf("sets %s", got)
	}
}

func TestAnUnknownRunFileIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.json")
	writeFile(t, path, "{\"kvbench_format\":999}\n")
	for _, args := range [][]string{{"report", path}, {"run", "-baseline", path}, {"report", path + ".missing"}} {
		if status, out, errs := kvbench(t, args...); status != StatusFailed || out != "" || !strings.Contains(errs, "run.json") {
			t.Errorf("%q: status %d, %q, %q", args, status, out, errs)
		}
	}
}
