/*
Package workload says what is done to an engine and what its answers must be. It
measures nothing: package run times what it is given here.

# Nouns

  - Data is the shape of what is stored: how many keys, how long, which lengths of
    values, how well they compress. A key has an index below Data.Capacity; keys
    sort by index. A missing key lies between two of them.
  - Sizes is a distribution of value lengths; a Chooser one of key indexes.
  - The version of a key counts its writes. It is issued before a write and
    acknowledged after it. A Model holds both for every key.
  - A Workload is a kind of work, such as "fillrandom" or "ycsb-a": mostly a mix
    of operations with their shares, a chooser and a number of operations.
  - A Source is a workload at work on one store; a Client is one goroutine of it.

# What an answer must be

A value carries the identity of its key, its version and its length; its other
bytes follow from those. An answer is right when all of it matches and the version
lies between the one acknowledged before the operation began and the one issued by
the time it ended. A key may be missing only if it was never written or a deletion
falls into that time. A scan must show every key of its range once, in order. So a
lost write, a stale value, a value of another key, a damaged byte, a key missing
from a scan, one that should not be there, a torn batch, a lost update: each is a
*WrongAnswer, and fails the phase.

# Concurrency

Each key has one writer at a time: a client claims a key before it writes it, and
draws again if another client is writing it at that moment. So no client is tied to
some of the keys; but of a key that takes a share p of the writes, N writers that
wait for the engine all the time write about a part (N-1)p less than the chooser
asks for. A Model is read by everyone. A Client belongs to one goroutine.
*/
package workload
