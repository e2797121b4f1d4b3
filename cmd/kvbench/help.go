package main

import (
	"fmt"
	"io"
)

const helpHead = `kvbench measures Cordwood and checks every byte that it reads back.

  kvbench [flags]                the standard phases, on generated data
  kvbench files [flags] [DIR]    store a real file tree, reopen, compare every byte
                                 (default: the source tree of the Go installation)
  kvbench files -kill [DIR]      the same while being killed again and again
  kvbench help                   this text

It works in a temporary folder that it removes at the end, prints its tables on
standard output and its progress on standard error.
Exit status: 0 all well; 1 a wrong answer or a failure; 2 wrong flags; 130 interrupted.
`

func printHelp(out io.Writer) {
	fmt.Fprint(out, helpHead)
	fmt.Fprint(out, "\nPhases:\n")
	for _, p := range standardPhases {
		fmt.Fprintf(out, "  %-17s %s\n", p.name, p.summary)
	}
	fmt.Fprintf(out, "\nA set has %s keys with 100-byte values, %s with 1-KiB ones; overwrite puts\nas many as there are, reads do up to 300,000.\n",
		count(uint64(defaultKeys(100))), count(uint64(defaultKeys(1024))))
	var only, values string
	flags := phaseFlags(&config{}, &only, &values)
	flags.SetOutput(out)
	fmt.Fprint(out, "\nFlags of kvbench:\n")
	flags.PrintDefaults()
	flags = fileFlags(&config{})
	flags.SetOutput(out)
	fmt.Fprint(out, "\nFlags of kvbench files:\n")
	flags.PrintDefaults()
}
