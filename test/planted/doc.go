//go:build planted

// Command planted shows that the tests notice when the engine breaks a promise.
// It holds a list of bugs, each one line of the engine said wrong: a sync left
// out, a checksum not compared, a snapshot forgotten. It builds them all into
// the test programs, runs the programs once for each bug, and tells which test
// failed, and how soon. A bug that nothing notices makes it fail: it has earned
// a test.
//
//	go run -tags planted ./test/planted [flags]
//
// The flags are those of the command's -help. Its last line is JSON for a
// machine; its exit status is 0 only if every bug was caught, and if the
// programs pass without one.
//
// # How a bug is planted
//
// A mutation names a file of the engine, a text that occurs in it once, and the
// text to put in its place, which asks PLANTED whether it is to misbehave:
//
//	{"sync-skipped", ..., "err = f.Sync()", "if !PLANTED {\n err = f.Sync()\n}"}
//
// The engine's files stay as they are. The replaced ones lie in a temporary
// folder, and `go test -c -overlay` builds from them, so one build holds all
// bugs; internal/testkit/planted turns on the one that CORDWOOD_PLANTED names.
// With none, the programs must pass: that is the control run.
//
// # What counts as caught
//
// A failed test does, a panic too, and a test that hangs: the table tells them
// apart. The tests beside the mutated file come first, then those of the whole
// store, short amounts before long ones, and CI's amounts at last.
//
// The list of mutations is in the files named after areas. The package's own
// test checks that each still fits the source and that the result compiles, so
// that the list cannot rot. All of it is behind the build tag planted.
package main
