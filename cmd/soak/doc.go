// Command soak runs the checks behind the engine's promises for a long time, or
// in the amounts that every submission must survive, and adds up what they did.
//
//	go run ./cmd/soak -for 1h -seed 7      # every check in turn, for an hour
//	go run ./cmd/soak -for 10m -only crash,faults
//	go run ./cmd/soak -amount ci           # once, in the amounts of CI
//	go run ./cmd/soak -amount full         # once, in the amounts before a release: days
//
// A check is a test of the tree: soak builds the test programs and runs each as
// a process of its own, so that a panic, a deadlock or a leak ends that process
// only. With -for, rounds are made until the time is over: each gives each check
// a slice of the time by its weight and a new seed. The checks, their figures
// and how much of each is asked for are in checks.go; docs/testing.md explains
// them.
//
// While it runs, soak prints a line for each run that ended. The last line on
// standard output is a JSON object (type summary): the seed, seconds, figures,
// and failures, each with the command that repeats it and a file with all that
// the test printed. It is also there after an interrupt. The exit status is 0 if
// nothing failed, 1 if something did, and 2 if soak itself could not work.
//
// It needs the Go toolchain and this source tree. Fuzz targets write what breaks
// them into testdata/fuzz of their package, where it is a test case from then on.
package main
