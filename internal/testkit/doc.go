// Package testkit is what the tests of the whole store have in common: where
// their seeds come from, how much they do, and how they tell what they did.
//
// # Seeds
//
// Whatever a test draws at random follows from one seed (Seed), which it prints
// when it fails and which CORDWOOD_SEED sets.
//
// # Amounts
//
// How much a test does is an Amount with a figure for each occasion:
//
//   - Short, for -short, the race detector's runs above all;
//   - Normal, for `go test ./...`, seconds;
//   - CI, with CORDWOOD_CI=1, what every submission must survive;
//   - Full, what the contract asks for before a release. CORDWOOD_SOAK=full runs
//     until it is reached, and CORDWOOD_SOAK=10m, a duration, until that time
//     is over.
//
// # Figures
//
// A test reports how much it has done with Count, under the name that its check
// has in docs/testing.md. cmd/soak reads these reports and adds them up.
//
// Sequential leaves a test out of the short runs. CollectRarely takes some of the
// garbage collector's time from the longest ones.
//
// # Time
//
// No verdict is to depend on how fast the machine is. Until waits for a condition
// as long as only a hang does; Blocked sees that a call waits.
//
// # Hostile input
//
// Bounded fails a fuzz target whose decoder takes memory or time out of
// proportion to its input. ResealRecords gives changed bytes the checksums that
// let them through to what lies behind.
package testkit
