/*
Kvbench measures Cordwood and checks every byte that it reads back.

	kvbench [flags]                the standard phases, on generated data
	kvbench files [flags] [DIR]    a real file tree: store it, reopen, compare
	kvbench files -kill [DIR]      the same while being killed again and again
	kvbench help                   the list of phases and flags

Without arguments it works in a temporary folder, takes under a minute, prints
its tables on standard output and its progress on standard error, and leaves
nothing behind.

# Nouns

  - A set is one value length with its key count: phases of a set share stores.
  - A phase is one kind of work on a set, such as fillrandom or readseq. It has
    a number of operations, split between workers; a worker is one goroutine
    with its own random numbers, buffers and latency histogram.
  - A number names a key: present keys have even numbers, missing ones odd, so
    that a missing key always lies between present keys.
  - The version of a key counts its writes. It is issued before a Put and
    acknowledged after it.
  - Settling is waiting, after a phase that writes, until everything is in
    tables and no compaction is due.

# What a read must prove

A value carries the identity of its key, its version and its length, and its
remaining bytes follow from those. A read is right when all of it matches and
the version lies between the one acknowledged before the read began and the one
issued by the time it ended. So a lost write, a stale value, the value of
another key, a damaged byte, a key missing from a scan and one that should not
be there are all failures, and end the run with status 1.

# Concurrency

Each key has one writer at a time: writers share the keys out between them. The
model of what was written (versions) is made of atomics and read by everyone.

# Exit status

0 all well; 1 the store gave a wrong answer or failed, or the machine did;
2 wrong flags; 130 interrupted.
*/
package main
