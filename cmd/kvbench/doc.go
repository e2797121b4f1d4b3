/*
Kvbench benchmarks Cordwood, and checks every byte that it reads back. It is the
command line of package bench/cli with one engine linked in; bench/peers is the
same program with the engines that Cordwood is compared with.

	kvbench                          the standard workloads, under a minute
	kvbench run readrandom ycsb-a    some workloads
	kvbench files -kill              a real file tree, while being killed
	kvbench list                     what there is to choose from
	kvbench help                     commands and flags

It works in a temporary folder, prints its tables on standard output and its
progress on standard error, and leaves nothing behind. docs/benchmarks.md tells
how to use it, and package cli what its exit status means.
*/
package main
