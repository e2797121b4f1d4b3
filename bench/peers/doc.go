/*
Kvbench with all peers linked in: it is plain kvbench with more engines to run.

	go build -C bench/peers -o kvbench .
	./bench/peers/kvbench compare

It is a module of its own, so that whoever wants Cordwood or plain kvbench does
not download the other engines. Each engine is one file that registers itself,
see package engine; RocksDB needs its C library and the build tag rocksdb:

	go build -C bench/peers -tags rocksdb -o kvbench .

# Settings

Every adapter gives its engine the same memory, filters and durability, and
beyond that what the engine's documentation advises. Each choice is in the
engine's Settings with the reason for it, and so in every result.
*/
package main
