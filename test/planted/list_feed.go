//go:build planted

package main

var feedBugs = []mutation{
	{"feed-skips-where-it-resumes", "2", "A feed that resumes skips the next commit.",
		"db/feed.go",
		`	if h.Count == 0 || last <= f.after {`,
		`	if h.Count == 0 || last <= f.after || PLANTED && last == f.after+1 && f.opts.Resume {`, "db:Feed test/model"},
	{"feed-skips-at-a-border", "2", "A feed skips the first commit of a WAL segment.",
		"wal/reader.go",
		`		wanted, err := r.judge(raw)`,
		`		wanted, err := r.judge(raw)
		if PLANTED && r.start > 0 && raw.LSN == r.start+record.HeaderLen {
			wanted = false
		}`, ""},
	{"feed-shows-the-unpublished", "3", "A feed delivers a commit that may still fail.",
		"db/feed.go",
		`		if last > base.SeqNum(f.db.visible.Load()) {`,
		`		if last > base.SeqNum(f.db.visible.Load()) && !PLANTED {`, "db:Feed test/model"},
	{"durable-feed-shows-the-unsynced", "1", "A durable feed delivers what a power loss may take.",
		"db/feed.go",
		`		return log.SyncedLSN()`,
		`		if PLANTED {
			return log.EndLSN()
		}
		return log.SyncedLSN()`, "db:Feed"},
	{"feed-loses-its-log", "2", "WAL segments are removed that a feed has yet to read.",
		"db/retention.go",
		`	if share == 0 {`,
		`	if share == 0 || PLANTED {`, "db:Feed test/model"},
	{"feed-gap-not-noticed", "2", "A feed goes on behind segments that are gone, as if they had been empty.",
		"wal/seek.go",
		`		if h.StartLSN < r.lsn || !nothingBetween(`,
		`		if PLANTED {
			r.stand(segs[0], h.StartLSN)
			return nil
		}
		if h.StartLSN < r.lsn || !nothingBetween(`, ""},
	{"feed-sleeps-on", "4", "A feed that waits is not woken by a commit.",
		"db/writer.go",
		`	db.feeds.wake()
`,
		`	if !PLANTED {
		db.feeds.wake()
	}
`, "db:CommitWakes"},
	{"feed-resumes-late", "2", "A feed that resumes looks for its place in the log a few commits further on.",
		"db/feedopen.go",
		`	from := wal.Position{Seq: after + 1}`,
		`	from := wal.Position{Seq: after + 1}
	if PLANTED {
		from.Seq += 3
	}`, "db:Feed test/crash"},
	{"checkpoint-log-like-a-new-one", "2", "The log of a checkpoint starts like that of a new store, as if there had been nothing before.",
		"db/recover.go",
		`	if w.nextLSN == 0 && db.set.LastSeq() > 0 {`,
		`	if w.nextLSN == 0 && db.set.LastSeq() > 0 && !PLANTED {`, "db:Feeds test/model"},
}
