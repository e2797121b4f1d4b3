package main

import "strings"

// phase is one kind of work on a set.
type phase struct {
	name       string
	summary    string
	fresh      bool // starts with an empty store
	writes     bool // is settled, and reported with what it wrote
	operations func(keys int) int
	run        func(w *worker) error
	beside     func(w *worker) error // an extra worker, until the others end
	besideName string
}

// How many operations a phase does: with the sizes of defaultKeys, each takes
// a second or a few.
func everyKey(keys int) int  { return keys }
func someReads(keys int) int { return min(keys, 300_000) }
func someSeeks(keys int) int { return min(keys, 50_000) }
func twoPasses(keys int) int { return 2 * keys }

// standardPhases is what kvbench runs without -only, in this order.
var standardPhases = []phase{
	{name: "fillseq", summary: "put every key once, ascending, into an empty store",
		fresh: true, writes: true, operations: everyKey, run: fillSequential},
	{name: "fillrandom", summary: "put every key once, in random order, into an empty store",
		fresh: true, writes: true, operations: everyKey, run: fillRandom},
	{name: "overwrite", summary: "put keys chosen at random that are there already",
		writes: true, operations: everyKey, run: overwrite},
	{name: "readrandom", summary: "get keys chosen at random",
		operations: someReads, run: readRandom},
	{name: "readmissing", summary: "get keys that are not there but lie between those that are",
		operations: someReads, run: readMissing},
	{name: "readseq", summary: "scan everything upwards, twice",
		operations: twoPasses, run: readForward},
	{name: "readreverse", summary: "scan everything downwards, twice",
		operations: twoPasses, run: readBackward},
	{name: "seekrandom", summary: "open a cursor, seek a random place, read 10 entries, close",
		operations: someSeeks, run: seekRandom},
	{name: "readwhilewriting", summary: "readrandom beside one paced writer of random keys",
		operations: someReads, run: readRandom, beside: writePaced, besideName: "  its writer"},
}

// findPhases looks phases up by their names, separated by commas.
func findPhases(list string) ([]phase, error) {
	var found []phase
next:
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		for _, p := range standardPhases {
			if p.name == name {
				found = append(found, p)
				continue next
			}
		}
		return nil, usageErrorf("unknown phase %q; the phases are %s", name, phaseNames())
	}
	return found, nil
}

func phaseNames() string {
	var names []string
	for _, p := range standardPhases {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}
