//go:build planted

package main

var snapshotBugs = []mutation{
	{"compaction-ignores-snapshots", "4", "A compaction keeps only the newest version of a key.",
		"compaction/stripes.go",
		`	if n == 0 || seq >`,
		`	if n == 0 || PLANTED || seq >`, ""},
	{"snapshot-off-by-one", "4", "The version that a snapshot was taken at counts as newer than it.",
		"compaction/stripes.go",
		`	i, _ := slices.BinarySearch(s.snapshots, seq)
	return i`,
		`	i, found := slices.BinarySearch(s.snapshots, seq)
	if found && PLANTED {
		i++
	}
	return i`, ""},
	{"merge-across-a-snapshot", "4", "Operands from before and after a snapshot are merged.",
		"compaction/merge.go",
		`	if !r.empty() && (r.stripe != stripe ||`,
		`	if !r.empty() && (r.stripe != stripe && !PLANTED ||`, ""},
	{"table-dropped-under-a-snapshot", "4", "A table that a range tombstone covers is dropped though a snapshot reads it.",
		"compaction/reclaim.go",
		`			limit = p.o.Snapshots[i] // the oldest that sees any of t`,
		`			if !PLANTED {
				limit = p.o.Snapshots[i] // the oldest that sees any of t
			}`, ""},
	{"snapshot-of-the-unpublished", "4", "A snapshot sees a commit that is not published yet.",
		"db/opened.go",
		`		return base.SeqNum(db.visible.Load()), true`,
		`		if PLANTED {
			return db.w.applied, true
		}
		return base.SeqNum(db.visible.Load()), true`, "db:Publish|Snapshot|Synced|Batches|Conflicts test/isolation test/model"},
	{"snapshot-not-registered", "4", "Compactions do not know of a snapshot.",
		"db/opened.go",
		`	for _, s := range r.snapshots {
		seqs = append(seqs, s.seq)`,
		`	for _, s := range r.snapshots {
		if PLANTED {
			continue
		}
		seqs = append(seqs, s.seq)`, "test/model db:Snapshot"},
	{"transaction-not-registered", "4", "Compactions do not know from when a transaction reads.",
		"db/opened.go",
		`		seqs = append(seqs, c.seq)`,
		`		if PLANTED {
			break
		}
		seqs = append(seqs, c.seq)`, "db:Transaction test/model test/isolation"},
	{"filter-reaches-into-snapshots", "4", "A compaction filter changes what an open snapshot reads.",
		"db/pin.go",
		`		spare(&s.pin, s.seq, s.began)`,
		`		if !PLANTED {
			spare(&s.pin, s.seq, s.began)
		}`, "db:Filter"},
	{"cursor-shows-later-commits", "4", "A cursor shows commits that are newer than it.",
		"db/txcursor.go",
		`	return seq <= c.r.seq ||`,
		`	return PLANTED || seq <= c.r.seq ||`, "test/model db:Cursor|Snapshot"},
}
