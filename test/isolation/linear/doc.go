// Package linear checks histories of concurrent clients against models that run
// one operation at a time (M. Herlihy, J. Wing, "Linearizability", ACM TOPLAS
// 12(3), 1990), with the search of github.com/anishathalye/porcupine.
//
// There are two models. Registers is for single operations: each key by itself,
// conditional writes included. Transactions takes a whole transaction over a
// small map as one operation; a history that is linearizable in this sense is
// strictly serializable. Range reads answer with the number and the sum of what
// they found, so that a phantom is a wrong answer.
//
// # Outcomes
//
// An operation that returned took effect between its call and its return. One
// whose outcome nobody knows took effect at any time after its call, or never,
// which is the same as after everything else. One that certainly failed is left
// out of the history.
//
// # Concurrency
//
// A History is safe for concurrent use until it is checked.
package linear
