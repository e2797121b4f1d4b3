// Package invariants checks, in test builds, what must always hold.
//
// An invariant is a statement about this module's own data that no input, no
// fault and no caller can make false. Its failure means a bug here, so
// [Check] panics. What bad input or bad hardware can bring about is an error.
//
// Checks run in builds with -tags invariants or -race, where [Enabled] is true.
// Elsewhere Enabled is a false constant: guard checks that cost something with
// it, and the compiler leaves them out.
//
// The package holds no state, starts no goroutine and has no file format.
package invariants
