/*
Package cli is kvbench's command line: its commands, flags, outputs and exit
statuses. A program of its own links the engines in and calls Main:

	kvbench [flags]                     the standard workloads, under a minute
	kvbench run [flags] [WORKLOAD...]   some workloads on some engines
	kvbench compare [flags] [WORKLOAD...]  engines side by side, several rounds
	kvbench files [flags] [DIR]         a real file tree: store it, reopen, compare
	kvbench report [flags] RUN.json...  all outputs and gates from saved runs
	kvbench replay [flags] TRACE        recorded operations of an application
	kvbench list [WHAT]                 engines, workloads, sizes, choosers, metrics
	kvbench completion SHELL            completion for bash, zsh, fish, powershell
	kvbench version                     what is linked into this program

Flags are written with one dash or two: -engine and --engine are the same.

# Invariants

  - Nothing is written but inside one new folder, which is gone at the end, and
    to the files that flags name. None of those that exists is overwritten
    without -force.
  - The first Ctrl-C (or SIGTERM, or the end of the terminal) ends a run in good
    order, with the results so far; a second one removes the data and exits.
  - Tables go to standard output, progress and errors to standard error.

# Exit status

0 all well; 1 an engine gave a wrong answer or failed, or the machine did; 2 wrong
flags or arguments; 3 an objective of -slo was missed; 4 a regression against
-baseline; 130 interrupted. Where several apply, the first of 130, 2, 1, 3, 4 counts.
*/
package cli
