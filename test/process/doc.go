// Package process checks what only real processes on a real file system can
// show: that a killed process loses nothing it acknowledged and leaves no lock
// behind, that one owner at a time has a directory, that a read-only store needs
// no right to write, and that a full disk passes.
//
// The test binary starts itself as the child: see TestMain. CORDWOOD_CI runs
// ten times as many kills, CORDWOOD_HUGE_GIB a transaction of so many GiB whose
// process is killed while it commits.
package process
