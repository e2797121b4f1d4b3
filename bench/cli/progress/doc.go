/*
Package progress shows on standard error how far a run is.

On a terminal two lines are redrawn in place: where the run as a whole is, with a
bar and the time left, and what the phase of the moment does. A third one appears
while no operation ends. Lines that are to stay, such as the result of a phase, are
printed above. Elsewhere (a file, a pipe, TERM=dumb) plain lines tell the start of
each phase and its end, and at most every PlainInterval what happens in between.

# Invariants

  - A line is never wider than the terminal.
  - Nothing is left on the terminal after Close but what was printed with Print.
  - No escape sequence is written where the output is no terminal, and no colour
    where NO_COLOR is set.

# Concurrency

A Display may be used from any goroutine.
*/
package progress
