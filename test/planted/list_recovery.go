//go:build planted

package main

var recoveryBugs = []mutation{
	{"values-not-checked-in-replay", "2", "A commit is replayed whose values are not whole.",
		"db/recover.go",
		`		if !whole {`,
		`		if !whole && !PLANTED {`, "test/crash"},
	{"numbers-of-cut-commits-reused", "3", "Sequence numbers of commits that were cut off are given again.",
		"db/recover.go",
		`		w.seq += seqGap`,
		`		if !PLANTED {
			w.seq += seqGap
		}`, "db:NumbersOf"},
	{"flushed-commits-replayed", "2", "Commits that tables have are applied once more.",
		"db/recover.go",
		`		if last <= flushed {`,
		`		if last <= flushed && !PLANTED {`, "test/model test/crash"},
	{"visible-before-synced", "3", "A commit with Sync can be read before it is durable.",
		"db/writer.go",
		`		db.w.applied = db.w.seq`,
		`		db.w.applied = db.w.seq
		if PLANTED {
			db.visible.Store(uint64(db.w.seq))
		}`, "db:Answers|Conflicts|Sync|Publish test/fault test/isolation test/crash"},
	{"numbers-of-failed-commits-reused", "3", "Sequence numbers of a commit that met a full disk are given again.",
		"db/writer.go",
		`		db.forgetActive()
`,
		`		db.forgetActive()
		if PLANTED {
			db.w.seq = db.w.applied
		}
`, "db:Full|Fail|Room test/fault"},
	{"flush-tells-one-number-too-many", "2", "The MANIFEST counts a commit as flushed that is still in a memtable.",
		"db/flush.go",
		`	edit.MinSegment, edit.MinSegmentID, edit.LastSeq = &newest.nextSegment, id, &last`,
		`	if PLANTED {
		last++
	}
	edit.MinSegment, edit.MinSegmentID, edit.LastSeq = &newest.nextSegment, id, &last`, "test/crash"},
	{"flush-drops-the-newer-memtable", "2", "A flush takes a memtable away that it has not written.",
		"db/flush.go",
		`		return slices.Contains(gens, g)`,
		`		return slices.Contains(gens, g) || PLANTED && g.last > last && g != db.state.Load().gens[0]`, "test/model test/crash"},
	{"recovered-memtable-not-synced", "2", "Values at the end of a file are not made durable before tables point at them.",
		"vlog/recover.go",
		`	if err == nil {
		err = f.Sync()`,
		`	if err == nil && !PLANTED {
		err = f.Sync()`, "vlog test/crash"},
	{"torn-values-stay", "2", "A torn value at the end of a value-log file is not cut off.",
		"vlog/recover.go",
		`		err = f.Truncate(info.Size)`,
		`		if !PLANTED {
			err = f.Truncate(info.Size)
		}`, ""},
	{"orphans-stay", "8", "Files that nobody names stay for ever after a crash.",
		"db/recover.go",
		`			orphan = !used`,
		`			orphan = !used && !PLANTED`, "db:NobodyNames"},
	{"log-points-into-no-file", "9", "A forged pointer in the log is believed, though its file never was.",
		"db/recover.go",
		`		if ptr.File == 0 || ptr.File > r.db.set.LastFileNum() {`,
		`		if (ptr.File == 0 || ptr.File > r.db.set.LastFileNum()) && !PLANTED {`, "db:PointerOfTheLog"},
}
