/*
Package run carries out a plan: engines, sets, workloads and rounds. The parent
starts one child process for each engine, set and round, in rotating order, and
collects what they send; a child opens stores, runs phases and measures them.

# Invariants

  - An engine's phases of one set and round run in one process that runs nothing
    else, so that memory, processor time and I/O are its own.
  - All engines are asked the same, in the same order, in a round: what a phase does
    follows from the plan, and the store it begins with from the phases before it
    that every engine can do. No phase repeats the random numbers of another.
  - A child ends when its standard input does: a parent that dies leaves none, and
    nothing in the folder of its child.
  - Everything is written inside one new folder, which is gone at the end.
  - What was measured is handed on as soon as a phase ends; nothing that comes
    later loses it.

The messages between parent and child are JSON lines (message.go), so that a child
may be another program: an older kvbench, or one with other engines linked in.
*/
package run
