// Package damage checks that damage at rest is seen and stays where it is.
//
// A small store with two keyspaces and files of every kind is built once, in
// two forms: closed, and as a killed process left it, with a log to replay. Each
// case changes the bytes of one or two of its files: a flipped byte, a cut,
// zeroed, swapped and stale sectors, whole files swapped, stale, missing or
// added. Then
//
//  1. Open succeeds or returns a typed error;
//  2. every read, in every way there is to read, returns the right value or a
//     typed error, never a wrong, an older or a missing one;
//  3. Compact and CollectGarbage, and opening again, lose nothing of what could
//     still be read before.
//
// The only damage that may take something away in silence is damage that
// nothing can tell from a torn write; see [Store.States].
//
// By default the cases are a sample; with CORDWOOD_CI set they are all.
package damage
