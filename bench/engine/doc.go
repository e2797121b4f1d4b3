/*
Package engine is what kvbench asks of a key-value engine, and nothing else: the
seam between the workloads, which know no engine, and the adapters, which know
no workload.

# Nouns

  - An Engine is the description of one engine with one way of setting it up,
    such as "pebble" or "pebble-valsep": its name, its version, what it is able
    to do, and how a store is opened.
  - A Store is an open database of it.
  - An ability is something that not every engine has: merges, expiry,
    transactions. A store that has it implements the interface of that name. A
    workload that needs what an engine lacks is skipped, with the reason in
    the result; it is never imitated.
  - A Setting is one choice that the adapter made, with the reason or the place
    in the engine's documentation that advises it. All are listed in the results.

# Fairness

Options say what is equal for all engines: the memory for memtables and for
cached blocks, filters and indexes, the filter's size, durability, compression.
Within them an adapter sets what the engine's own documentation advises for the
machine at hand, says so in its Settings, and adds no work of its own to a call:
no copy that the engine's interface does not force on every user, no lock, no
allocation that can be avoided.

# Concurrency

All methods of a Store may be called from any number of goroutines. A Batch, a
Cursor and a Tx belong to one goroutine at a time.

# How to add an engine

Write one file beside the others in bench/peers that calls Register from an init
function, and run the tests there: they run package enginetest on everything that
is registered. docs/benchmarks.md has the steps.
*/
package engine
