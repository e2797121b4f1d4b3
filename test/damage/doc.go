// Package damage checks that damage at rest is seen and stays where it is.
//
// A small store with two keyspaces and files of every kind is built in three
// forms: closed, as a killed process left it, with a log of several segments to
// replay, and a checkpoint. Each case damages one or two files of one of them;
// Damages and Roles list how, and what. Then
//
//  1. Open succeeds, or returns a typed error and has changed nothing;
//  2. every read, in every way there is to read, returns the right value or a
//     typed error that names the damaged file: never a wrong value, an older
//     one, or none. Keys that can be read without the damaged file are read;
//  3. what a feed delivers and a checkpoint holds is right;
//  4. Compact and CollectGarbage, and opening again, lose nothing of what could
//     still be read before, keep what is damaged and needed, and report it;
//  5. a store that is open for reading only is not changed.
//
// The only damage that may take something away is damage that nothing can tell
// from a torn write, and it is reported; see Store.States.
//
// What users see of it is compared with the tables of docs/damage.md.
//
// The cases are numbered and made when they are run, so that no more memory is
// used for the millions of a soak than for the sample of a short run.
package damage
