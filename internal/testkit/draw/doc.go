// Package draw is where a random test takes its choices from, so that a history
// that failed can be written down, made smaller, and kept as a case.
//
// # Nouns
//
//   - A draw is one choice: a number below a bound.
//   - A Step is a name and the numbers that were drawn in it.
//   - A Script is the steps of a history. As text it has a line for each,
//     "put 3 17", and what follows a # is for people.
//   - A Source gives steps and numbers: at random (Random), from a script
//     (Replay) or from bytes of a fuzzer (Bytes). Whatever it gives it writes
//     down: Source.Script is the history so far, in its shortest form.
//
// # Replays
//
// Any script can be replayed, also one that was cut up: numbers that are missing
// are 0, those too many are ignored, and each is taken modulo its bound. So 0
// should stand for the simplest choice. Shrink makes use of that: it leaves out
// steps and lowers numbers as long as the test still fails.
//
// A Source belongs to one goroutine.
package draw
