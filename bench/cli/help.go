package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpColumns is the width that help is wrapped to.
const helpColumns = 100

// examples lays out what to show in help: comment, command, comment, command.
func examples(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, "  # %s\n  %s\n", pairs[i], pairs[i+1])
	}
	return strings.TrimRight(b.String(), "\n")
}

// help prints the help of a command: flags with one dash, in groups.
func help(c *cobra.Command, _ []string) {
	out := c.OutOrStdout()
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(out, "%s\n\nUsage:\n  %s\n", text, useLine(c))
	if c.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n%s\n", c.Example)
	}
	if subs := c.Commands(); len(subs) > 0 {
		fmt.Fprint(out, "\nCommands:\n")
		for _, sub := range subs {
			if !sub.Hidden {
				fmt.Fprintf(out, "  %-12s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	for _, group := range append(groupOrder, "") {
		printFlags(out, c, group)
	}
	if !c.HasParent() {
		fmt.Fprintf(out, "\nExit status: 0 all well; 1 a wrong answer or a failure; 2 wrong flags; 3 an objective was\n"+
			"missed; 4 a regression; 130 interrupted. \"%s COMMAND -h\" tells about a command.\n", c.Name())
	}
}

func useLine(c *cobra.Command) string {
	if c.HasParent() {
		return c.Parent().CommandPath() + " " + c.Use
	}
	return c.Use + "\n  " + c.Name() + " COMMAND [flags] [arguments]"
}

// printFlags prints the flags of a group; group "" are those in none.
func printFlags(out io.Writer, c *cobra.Command, group string) {
	head := false
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || strings.Join(f.Annotations[groupAnnotation], "") != group {
			return
		}
		if !head {
			title := "Flags"
			if group != "" {
				title = group + " flags"
			}
			fmt.Fprintf(out, "\n%s:\n", title)
			head = true
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "-" + f.Name
		if f.NoOptDefVal == "" {
			name += " " + kind
		}
		if d := defaultText(f); d != "" {
			usage += " (default: " + d + ")"
		}
		fmt.Fprintf(out, "  %s\n", name)
		for _, line := range wrap(usage, helpColumns-6) {
			fmt.Fprintf(out, "      %s\n", line)
		}
	})
}

// defaultText is a flag's default if it says anything that the usage does not.
func defaultText(f *pflag.Flag) string {
	if strings.Contains(f.Usage, "(default:") {
		return ""
	}
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
		return ""
	}
	return strings.Trim(f.DefValue, "[]")
}

// wrap breaks a text into lines of at most so many columns.
func wrap(text string, columns int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > columns {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// helpCommand is "kvbench help [COMMAND]".
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		Args:  atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range root.Commands() {
				if !c.Hidden {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			command := root
			if len(args) > 0 {
				if command = commandOf(root, args); command == root {
					return a.noCommand(root, args)
				}
			}
			return command.Help()
		},
	}
}
