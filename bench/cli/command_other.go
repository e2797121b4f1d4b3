package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/run"
)

// filesCommand is "kvbench files".
func (a *app) filesCommand() *cobra.Command {
	s := &settings{}
	c := &cobra.Command{
		Use:   "files [flags] [DIR]",
		Short: "Store a real file tree, reopen, compare every byte; also while being killed",
		Long: `Files stores every file of a tree under its path, reopens the store, and compares
every byte with the files, once by point reads and once by a scan. With -kill a child
process stores them and is killed at random moments, again and again; after each kill
every file whose writing was acknowledged must be there, and nothing else but whole files.
Without DIR it takes the source tree of the Go installation.`,
		Example: examples(
			"the Go source tree", a.program+" files",
			"photos, on two engines", a.program+" files -engine cordwood,badger ~/photos",
			"killed twenty times", a.program+" files -kill",
			"a hundred kills, every write synced", a.program+" files -kill -kills 100 -sync ./testdata"),
		Args: atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(c *cobra.Command, args []string) error {
			if isSet(c, "kills") && !s.kill {
				return usageOf(c, usageErrorf("-kills is for -kill"))
			}
			tree := ""
			if len(args) > 0 {
				tree = args[0]
			}
			return a.files(c, s, tree)
		},
	}
	addGroup(c, groupWork, s.fileFlags)
	addGroup(c, groupEngines, s.engineFlags)
	addGroup(c, groupRounds, s.compareFlags)
	addGroup(c, groupGates, s.gateFlags)
	addGroup(c, groupOutput, s.outputFlags)
	addGroup(c, groupSession, s.sessionFlags)
	return c
}

// reportCommand is "kvbench report".
func (a *app) reportCommand() *cobra.Command {
	s := &settings{}
	c := &cobra.Command{
		Use:   "report [flags] RUN.json...",
		Short: "Make outputs and judge gates from saved runs",
		Long: `Report makes every output, and judges objectives and regressions, from runs that were
saved with -json, as if they were fresh. Several runs become one; engines that are in more
than one of them are told apart by the name of the file: cordwood@old.json.`,
		Example: examples(
			"the table", a.program+" report run.json",
			"a report to look at", a.program+" report -html report.html run.json",
			"for benchstat", a.program+" report -gobench - new.json > new.txt",
			"a gate for CI", a.program+" report -baseline main.json -max-regress 5% branch.json",
			"before and after as two engines", a.program+" report -baseline-engine cordwood@old.json old.json new.json"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageOf(c, usageErrorf("name the files of the runs, which -json has written"))
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(c *cobra.Command, args []string) error { return a.reportRuns(c, s, args) },
	}
	addGroup(c, groupRounds, s.compareFlags)
	addGroup(c, groupGates, s.gateFlags)
	addGroup(c, groupOutput, s.outputFlags)
	return c
}

// completionCommand is "kvbench completion".
func (a *app) completionCommand(root *cobra.Command) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell: bash, zsh, fish or powershell",
		Long: `Completion prints a script that makes a shell complete commands, flags, engines,
workloads and metrics.`,
		Example: examples(
			"bash, for this session", "source <("+a.program+" completion bash)",
			"bash, for good", a.program+" completion bash > ~/.local/share/bash-completion/completions/"+a.program,
			"zsh", a.program+" completion zsh > \"${fpath[1]}/_"+a.program+"\"",
			"fish", a.program+" completion fish > ~/.config/fish/completions/"+a.program+".fish",
			"PowerShell", a.program+" completion powershell | Out-String | Invoke-Expression"),
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageOf(c, usageErrorf("name the shell: %s", oneOf(shells)))
			}
			return atMost(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return usageOf(c, usageErrorf("unknown shell %q%s", args[0], didYouMean(args[0], shells)))
		},
	}
}

// versionCommand is "kvbench version".
func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Show the versions of this program and of the engines in it",
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		Example:           examples("what is linked in", a.program+" version"),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(a.stdout, "%s %s, %s, %s/%s\n", a.program, programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			for _, e := range engine.All() {
				fmt.Fprintf(a.stdout, "  %-16s %s\n", e.Name, e.Version())
			}
			return nil
		},
	}
}

// programVersion is that of the program's own module.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(version unknown)"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "(from its source tree)"
}

// The commands that this program starts itself with. Not in the help.
const (
	childCommandName      = run.ChildCommand
	filesChildCommandName = "_files-child"
)

// childCommand is a process that measures one engine: package run's.
func (a *app) childCommand() *cobra.Command {
	return &cobra.Command{
		Use: childCommandName, Hidden: true, Short: "for this program only", Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return run.Child(c.Context(), a.stdin, a.stdout) },
	}
}

// filesChildCommand is a process that is killed: package files'.
func (a *app) filesChildCommand() *cobra.Command {
	return &cobra.Command{
		Use: filesChildCommandName, Hidden: true, Short: "for this program only", Args: atMost(0),
		RunE: func(*cobra.Command, []string) error { return a.filesChild() },
	}
}
