package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// completeWorkloads completes the arguments of run: workloads, or files of mixes.
func completeWorkloads(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	if strings.ContainsAny(typed, `./\`) {
		return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return starting(workloadNames(), typed), cobra.ShellCompDirectiveDefault
}

// completeFlags tells the shells what the values of a command's flags may be.
func completeFlags(c *cobra.Command) {
	lists := map[string]func() []string{
		"engine": engineNames, "only": workloadNames, "slo": metricNames,
	}
	for name, names := range lists {
		registerCompletion(c, name, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return completeList(typed, names()), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		})
	}
	registerCompletion(c, "baseline-engine", fixed(engineNames))
	registerCompletion(c, "value", fixed(sizeNames))
	registerCompletion(c, "compression", fixed(func() []string { return []string{"default", "none"} }))
	for name, extension := range map[string]string{"json": "json", "baseline": "json", "csv": "csv", "html": "html", "mix": "toml"} {
		registerCompletion(c, name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{extension}, cobra.ShellCompDirectiveFilterFileExt
		})
	}
	registerCompletion(c, "dir", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
	for _, name := range []string{"n", "key", "compress", "seed", "ops", "duration", "limit", "warmup", "threads", "rate", "writerate",
		"scan", "batch", "multiget", "speed", "memory", "memtable", "cache", "filter", "rounds", "title", "max-regress", "confidence", "kills"} {
		registerCompletion(c, name, cobra.NoFileCompletions)
	}
}

func registerCompletion(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if c.Flags().Lookup(flag) != nil {
		// It fails for a flag that is not there or has one: neither is the case.
		_ = c.RegisterFlagCompletionFunc(flag, complete)
	}
}

func fixed(names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return starting(names(), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeList completes the last name of a list with commas.
func completeList(typed string, names []string) []string {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	taken := strings.Split(before, ",")
	var out []string
	for _, name := range names {
		free := true
		for _, t := range taken {
			free = free && t != name
		}
		if free && strings.HasPrefix(name, typed[len(before):]) {
			out = append(out, before+name)
		}
	}
	return out
}

// starting are the names that begin with what was typed.
func starting(names []string, typed string) []string {
	var out []string
	for _, name := range names {
		if strings.HasPrefix(name, typed) {
			out = append(out, name)
		}
	}
	return out
}
