package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// root makes the command tree.
func (a *app) root() *cobra.Command {
	s := &settings{values: []string{"100,1KiB"}}
	root := &cobra.Command{
		Use:   a.program + " [flags]",
		Short: "Benchmark embedded key-value engines, and check every byte that they return",
		Long: `Kvbench benchmarks embedded key-value engines, and checks every byte that they
return. Without a command it runs the standard workloads with values of 100 bytes
and of 1 KiB on one engine, in under a minute, and leaves nothing behind.`,
		Example: examples(
			"the standard workloads", a.program,
			"one size, two workloads", a.program+" -value 4KiB -only fillrandom,readrandom",
			"all engines side by side, with a report to look at", a.program+" compare -html report.html",
			"what there is to choose from", a.program+" list"),
		Args:              a.noCommand,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.bench(c, s, s.only)
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		CompletionOptions: cobra.CompletionOptions{
			DisableDefaultCmd: true, // ours has examples
		},
	}
	benchFlags(root, s)
	root.AddCommand(a.runCommand(), a.compareCommand(), a.filesCommand(), a.reportCommand(), a.replayCommand(),
		a.listCommand(), a.completionCommand(root), a.versionCommand(), a.childCommand(), a.filesChildCommand())
	root.SetHelpCommand(a.helpCommand(root))
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetIn(a.stdin)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(help)
	for _, c := range append(root.Commands(), root) {
		c.Flags().SortFlags = false
		completeFlags(c)
	}
	return root
}

// noCommand refuses the arguments of the program without a command.
func (a *app) noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	name := args[0]
	if _, ok := findWorkload(name); ok {
		return usageErrorf("unknown command %q; to run the workload of that name: %s run %s", name, a.program, name)
	}
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return usageErrorf("unknown command %q%s", name, didYouMean(name, names))
}

// atMost refuses more arguments than n.
func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return usageOf(c, usageErrorf("unexpected argument %q", args[n]))
		}
		return nil
	}
}

// usageOf notes whose help is of use in a usage error.
func usageOf(c *cobra.Command, err error) error {
	if usage, ok := errors.AsType[*UsageError](err); ok && usage.Command == "" {
		usage.Command = c.CommandPath()
	}
	return err
}

// flagError words the library's errors about flags.
func flagError(c *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	text := err.Error()
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := e.GetSpecifiedName()
		text = fmt.Sprintf("unknown flag -%s%s", name, didYouMeanFlag(c, name))
	} else if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		kind, _ := pflag.UnquoteUsage(e.GetFlag())
		text = fmt.Sprintf("-%s needs a value: a %s", e.GetSpecifiedName(), kind)
	} else if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		text = fmt.Sprintf("-%s %s: %s", e.GetFlag().Name, e.GetValue(), plainCause(e))
	}
	return usageOf(c, &UsageError{Text: text})
}

// plainCause is why a value is wrong, without the names of Go's functions.
func plainCause(e *pflag.InvalidValueError) string {
	switch e.GetFlag().Value.Type() {
	case "int", "uint64":
		return "not a whole number"
	case "float64":
		return "not a number"
	case "bool":
		return "neither true nor false"
	case "duration":
		return "not a time, such as 500ms or 10s"
	}
	return e.Unwrap().Error()
}

func didYouMeanFlag(c *cobra.Command, name string) string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	near := nearest(name, names)
	for i := range near {
		near[i] = "-" + near[i]
	}
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + oneOf(near) + "?"
}
