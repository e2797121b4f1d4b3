/*
Package measure times operations and reads what the process and the machine spent.
It knows no engine and no workload.

# Nouns

  - A Recorder takes the times of a phase's operations, by worker and kind, into
    histograms, seconds and stalls.
  - A Pacer says when the next operation of a worker is due: at once in a closed
    loop; at its place in a timetable in an open one, whatever happened to the
    operations before. Latencies count from there, so that an operation that had
    to wait behind a slow one is charged for the wait (no coordinated omission;
    Tene, "How NOT to Measure Latency", 2013).
  - A Meter reads processor time, allocations, memory and I/O of the process.
  - A probe measures the machine: its fsync, its speed.

# Concurrency

A Recorder's Workers are each for one goroutine; Live may be called beside them.
All else is for one goroutine.
*/
package measure
