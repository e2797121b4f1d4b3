//go:build planted

package main

var transactionBugs = []mutation{
	{"reads-not-recorded", "4", "A commit does not remember what its transaction has read.",
		"db/txread.go",
		`	if check && !c.opts.ReadOnly {`,
		`	if check && !c.opts.ReadOnly && !PLANTED {`, "db:Conflict|Skew|Phantom|Prefix test/isolation"},
	{"missing-keys-not-recorded", "4", "A key that was not there when it was read may appear.",
		"db/txread.go",
		`		c.note(ks, key, check)
		return r.appendGet(dst, key)`,
		`		if PLANTED {
			value, err := r.appendGet(dst, key)
			if err == nil {
				c.note(ks, key, check)
			}
			return value, err
		}
		c.note(ks, key, check)
		return r.appendGet(dst, key)`, "db:Conflict|Skew|Prefix test/isolation"},
	{"phantoms", "4", "Keys may appear in a range that a transaction has scanned.",
		"db/txcursor.go",
		`	if !s.none {`,
		`	if !s.none && !PLANTED {`, "db:Conflict|Skew|Prefix test/isolation"},
	{"end-of-scan-not-recorded", "4", "Keys may appear behind the last one that a finished scan has shown.",
		"db/txcursor.go",
		`		c.tx.sawBack(c.rng)`,
		`		if !PLANTED {
			c.tx.sawBack(c.rng)
		}`, "db:Conflict|Relies|Prefix test/isolation"},
	{"older-half-not-searched", "4", "Of the recent commits, only the newer half is compared with what was read.",
		"db/recent.go",
		`	return l.older.wrote(r, seq) || l.newer`,
		`	return !PLANTED && l.older.wrote(r, seq) || l.newer`, "db:Recent|Reach|Conflict"},
	{"forgotten-commits-count-as-known", "4", "What the log of recent commits has forgotten counts as no conflict.",
		"db/recent.go",
		`			l.floor = l.older.ops[n-1].seq`,
		`			if !PLANTED {
				l.floor = l.older.ops[n-1].seq
			}`, "db:Recent|Reach|Conflict"},
	{"range-deletes-are-no-conflict", "4", "A range delete that was flushed does not conflict with a scan.",
		"db/txcheck.go",
		`	if seq := newestDelete(dels, rng); seq > c.since {`,
		`	if seq := newestDelete(dels, rng); seq > c.since && !PLANTED {`, "db:Conflict"},
	{"memtables-not-checked", "4", "What was written since a transaction began is looked for in tables only.",
		"db/txcheck.go",
		`		if m.MaxSeq() <= c.since {`,
		`		if PLANTED || m.MaxSeq() <= c.since {`, "db:Conflict"},
	{"first-commit-not-checked", "4", "The first commit after a transaction began is no conflict.",
		"db/txcheck.go",
		`	if seq := l.trailer.SeqNum(); seq > c.since {`,
		`	if seq := l.trailer.SeqNum(); seq > c.since && !(PLANTED && seq == c.since+1) {`, "db:Conflict"},
	{"conditional-write-not-checked", "4", "CompareAndSwap does not notice who came in between.",
		"db/conditional.go",
		`	c.read.addKey(c.ks.num, c.key)`,
		`	if !PLANTED {
		c.read.addKey(c.ks.num, c.key)
	}`, "db:Conditional|Lost|Add test/isolation"},
	{"refused-commit-in-the-group", "4", "A transaction that was refused is written with the rest of its group.",
		"db/txcheck.go",
		`		if r.Refused = q.refusal(&w.recent, w.applied); r.Refused != nil {
			refused = true
			continue`,
		`		if r.Refused = q.refusal(&w.recent, w.applied); r.Refused != nil {
			refused = !PLANTED
			continue`, "db:Conflict|Group test/isolation"},
	{"own-range-delete-not-seen", "4", "A transaction reads what it has deleted by range.",
		"db/ownwrites.go",
		`		covering = dels.CoveringSeq(key, top)`,
		`		if !PLANTED {
			covering = dels.CoveringSeq(key, top)
		}`, "db:Own test/model"},
	{"half-a-group-is-published", "4", "Readers see a commit of a group before they may.",
		"db/writer.go",
		`			db.visible.Store(uint64(r.Batch.(*request).last))`,
		`			last := r.Batch.(*request).last
			if PLANTED && r.Batch.(*request).batch.count > 1 {
				last--
			}
			db.visible.Store(uint64(last))`, "test/model db:Batches"},
}
