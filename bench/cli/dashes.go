package cli

import (
	"strings"

	"github.com/spf13/pflag"
)

// doubleDashes turns -name into --name, so that flags may be written with one
// dash, as Go programs do, or two. There are no one-letter shorthands but -h.
// The value of a flag, negative numbers, "-" and all after "--" stay as they are.
func doubleDashes(args []string, flags *pflag.FlagSet) []string {
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name, isFlag := flagName(arg)
		if !isFlag {
			out = append(out, arg)
			continue
		}
		if arg != "-h" && !strings.HasPrefix(arg, "--") {
			arg = "-" + arg
		}
		out = append(out, arg)
		if takesNext(flags.Lookup(name), arg) && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out
}

// flagName is the name in -name, --name or -name=value.
func flagName(arg string) (name string, ok bool) {
	name = strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	if len(name) == len(arg) || name == "" || !isLetter(name[0]) {
		return "", false
	}
	name, _, _ = strings.Cut(name, "=")
	return name, true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// takesNext reports whether a flag's value is the argument after it.
func takesNext(f *pflag.Flag, arg string) bool {
	return f != nil && f.NoOptDefVal == "" && !strings.Contains(arg, "=")
}
