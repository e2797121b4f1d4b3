// Package crash checks what is left of a store when its process dies or the
// power fails: at any operation on the file system, whatever subset of what was
// not synced reached the disk, and again while the store recovers from that.
//
// A workload (workload.go) is one writer that draws commits of every form and
// what makes the store flush, compact, rotate its logs, rewrite its value log
// and its MANIFEST. A history (history.go) remembers the state after each of
// its commits, how many were acknowledged, and how many of these are durable. A
// camera (camera.go) is the hook of the file system: before each operation that
// could change what a crash leaves, it takes images: of what is durable alone,
// of all subsets of what is not, if that are few items, else of all, of each
// item alone, of all but one, of all with one torn, and of some at random. Of
// images with the same bytes it keeps one (likeness.go). Each image is then
// opened (check.go), and what it holds must be the state after a prefix of the
// commits that has at least those that were durable, or, if only the process
// died, at least those that were acknowledged.
//
// A crew (crew.go) is several writers at once (hand.go), with everything that
// goes on beside them. In which order their commits are made only the store
// knows. An order (order.go) hears it from a change feed, and does not take it
// on trust: each commit must be there once and whole, behind all that were
// acknowledged before it began, and must have read what the commits before it
// have left; and the store must hold in the end what they all have written. Then
// the images of a crew are judged as those of one writer are, and a feed that is
// resumed on a recovered store (resume.go) must deliver what its commits are.
//
// Keyspaces are made and dropped between the commits. That is durable at once,
// also where commits before it are lost, so that what an image must hold is a
// prefix of the commits, seen in the keyspaces that there are then. Commits that
// stand for ones of many GiB have a test of their own (large_test.go).
//
// The package test/fault runs the same workload on a file system that fails.
//
// A failing test prints its seed, which CORDWOOD_SEED repeats as far as the
// scheduling of goroutines lets it, and what was kept in the image.
package crash
