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
  - A stall is a stretch of over 100 ms in which operations were due and none
    ended.
  - A Meter reads processor time, allocations, memory and I/O of the process.
  - A probe measures the machine: its fsync, its speed.

# Invariants

  - An operation that ended after the warm-up is counted once in its kind and once
    in its second; no other is.
  - A latency is from when an operation was due to when it ended; only times that
    the caller read on the Clock go into it, so that results on a test's clock are
    exact.
  - What a phase costs to measure does not grow with its length, but for the 40
    bytes of each second.
  - What cannot be known on a platform is left out, never guessed.

# Concurrency

A Recorder's Workers are each for one goroutine; Live and Restart may be called
beside them. Clocks are safe for concurrent use, and functions that stand alone may
run at the same time, though Speed and the times of fsync then disturb each other.
All else is for one goroutine.
*/
package measure
