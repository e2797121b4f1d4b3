/*
Package enginetest checks that an adapter keeps to what package engine asks for,
and has an engine in memory for tests of whatever works with engines.

Run is the test of every adapter: a package that registers engines calls it for
each of them. It needs nothing but the engine, works in folders of the test's
own, and takes a few seconds.

Memory is a small engine with all abilities that does what package engine says in
the most obvious way. It is the reference: whoever tests a workload, a phase or a
report uses it, since nothing in it is slow, compressed or in the background.
It is not registered, so that no user takes it for a peer.

# Invariants

  - Run passes for Memory. What Run cannot tell from Memory is correct.
  - Run does not rely on time, but for the second in which an entry expires, and
    on no ability that the engine does not name.
*/
package enginetest
