/*
Package result holds what a run of kvbench found out: the types, their file, and
the statistics over them. Every output (table, CSV, Go benchmark format, HTML) and
every gate is made from a Run alone, so that a saved run can do all that a fresh
one can.

# Nouns

  - A Run is one invocation: the machine, the engines, and its phases.

  - A set is one shape of data: a number of keys, their length, the lengths of
    values. A set is named by the lengths of its values, such as "1KiB".

  - A Phase is one workload on one set of one engine in one round: the unit of
    measurement.

  - A Kind is one kind of operation in a phase, such as "read" or "update", and
    belongs to one class: read, write, scan or tx.

  - A round runs every engine once, each in its own process; rounds rotate the
    order of engines.

  - A Metric is a figure of a phase; a Summary has it for all rounds.

  - An Objective is a condition on a metric; a Verdict says whether it is met.

  - A Comparison is one metric in an older and a newer run.

# The file

A file of a run is JSON lines: the first is a Header, each later one a Phase, or at
the end a Footer. It is written as the run goes on, so that a run that was cut off
leaves a file that can be read: ReadRun returns what is whole. Format numbers the
version; a newer one is refused. Times are nanoseconds where the name ends in _ns,
else seconds; sizes are bytes.

# Concurrency

Everything is for one goroutine at a time. What takes a Run only reads it, and may
be called by several at once.
*/
package result
