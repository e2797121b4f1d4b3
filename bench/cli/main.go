package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Main is the program: it runs the command that os.Args name on all engines that
// are registered, and returns the exit status. program is its name in messages.
func Main(program string) int {
	a := &app{program: program, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	return a.run(context.Background(), os.Args[1:])
}

// app is one invocation.
type app struct {
	program        string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	args           []string // as given
}

// run carries a command out and returns the exit status.
func (a *app) run(ctx context.Context, args []string) int {
	a.args = args
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		return a.complete(ctx, args)
	}
	root := a.root()
	root.SetArgs(doubleDashes(args, commandOf(root, args).Flags()))
	err := root.ExecuteContext(ctx)
	a.report(err)
	return statusOf(err)
}

// report prints what went wrong, once.
func (a *app) report(err error) {
	if err == nil || onlyGates(err) {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.stderr, "%s: interrupted\n", a.program)
		return
	}
	text := strings.TrimSpace(err.Error())
	fmt.Fprintf(a.stderr, "%s: %s\n", a.program, text)
	if usage, ok := errors.AsType[*UsageError](err); ok {
		command := usage.Command
		if command == "" {
			command = a.program
		}
		fmt.Fprintf(a.stderr, "Run \"%s -h\" for help.\n", command)
	}
}

// commandOf finds the command that args name, the root if none.
func commandOf(root *cobra.Command, args []string) *cobra.Command {
	command := root
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			break
		}
		i := -1
		for j, c := range command.Commands() {
			if c.Name() == arg || c.HasAlias(arg) {
				i = j
			}
		}
		if i < 0 {
			break
		}
		command = command.Commands()[i]
	}
	return command
}

// complete answers a shell's request for completions. The flag that is being
// typed may have one dash, and then its completions have one.
func (a *app) complete(ctx context.Context, args []string) int {
	root := a.root()
	last := args[len(args)-1]
	single := strings.HasPrefix(last, "-") && !strings.HasPrefix(last, "--")
	given := doubleDashes(args[1:], commandOf(root, args[1:]).Flags())
	if single && len(given) > 0 && last != "-" && !strings.HasPrefix(given[len(given)-1], "--") {
		given[len(given)-1] = "-" + last
	}
	root.SetArgs(append([]string{args[0]}, given...))
	var out bytes.Buffer
	root.SetOut(&out)
	err := root.ExecuteContext(ctx)
	for line := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(line, "--"); ok && single {
			line = "-" + rest
		}
		line = strings.ReplaceAll(line, "`", "") // which mark the kind of a flag's value
		_, _ = io.WriteString(a.stdout, line)    // a shell that has gone away needs no answer
	}
	return statusOf(err)
}
