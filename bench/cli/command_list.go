package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// topic is one thing that list shows.
type topic struct {
	name  string
	title string
	show  func(a *app, settings bool) error
}

var topics = []topic{
	{"engines", "Engines", (*app).listEngines},
	{"workloads", "Workloads", (*app).listWorkloads},
	{"sizes", "Lengths of values, for -value", (*app).listSizes},
	{"choosers", "Choosers of keys, for mixes", (*app).listChoosers},
	{"metrics", "Metrics, for -slo", (*app).listMetrics},
}

// listCommand is "kvbench list".
func (a *app) listCommand() *cobra.Command {
	withSettings := false
	var names []string
	for _, t := range topics {
		names = append(names, t.name)
	}
	c := &cobra.Command{
		Use:       "list [flags] [WHAT...]",
		Short:     "Show engines, workloads, sizes, choosers and metrics",
		Long:      "List shows what there is to choose from: " + oneOfAnd(names) + ".",
		ValidArgs: names,
		Example: examples(
			"everything", a.program+" list",
			"the engines, and how they are set up", a.program+" list -settings engines",
			"what objectives can be set for", a.program+" list metrics"),
		RunE: func(c *cobra.Command, args []string) error {
			shown := 0
			for _, arg := range args {
				if _, ok := findTopic(arg); !ok {
					return usageOf(c, usageErrorf("nothing to list is called %q%s", arg, didYouMean(arg, names)))
				}
			}
			for _, t := range topics {
				if len(args) > 0 && !slices.Contains(args, t.name) {
					continue
				}
				if shown++; shown > 1 {
					fmt.Fprintln(a.stdout)
				}
				fmt.Fprintf(a.stdout, "%s\n\n", t.title)
				if err := t.show(a, withSettings); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&withSettings, "settings", false, "show what is set on each engine, and why")
	return c
}

func findTopic(name string) (topic, bool) {
	for _, t := range topics {
		if t.name == name {
			return t, true
		}
	}
	return topic{}, false
}

func (a *app) listEngines(settings bool) error {
	for _, e := range engine.All() {
		fmt.Fprintf(a.stdout, "  %-16s %s, %s", e.Name, e.Title, e.Version())
		if e.Abilities != 0 {
			fmt.Fprintf(a.stdout, "; has %s", e.Abilities)
		}
		if e.LostByKill != "" {
			fmt.Fprintf(a.stdout, "; without -sync a kill may lose %s", e.LostByKill)
		}
		fmt.Fprintln(a.stdout)
		if !settings || e.Settings == nil {
			continue
		}
		for _, s := range e.Settings(engine.DefaultOptions()) {
			fmt.Fprintf(a.stdout, "      %s = %s\n", s.Name, s.Value)
			for _, line := range wrap(s.Why, helpColumns-10) {
				if line != "" {
					fmt.Fprintf(a.stdout, "          %s\n", line)
				}
			}
		}
	}
	return nil
}
