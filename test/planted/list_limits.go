//go:build planted

package main

var limitBugs = []mutation{
	{"key-limit", "limits", "A key over the limit is taken.",
		"db/batch.go",
		`	case len(key) > MaxKeyBytes:`,
		`	case len(key) > MaxKeyBytes && !PLANTED:`, "db:Limit|Large"},
	{"inline-limit", "limits", "A batch with more inline values than a memtable can hold is taken.",
		"db/batch.go",
		`	if inline > limit {`,
		`	if inline > limit && !PLANTED {`, "db:Batch|Large"},
	{"ttl-overflow", "limits", "A time to live that reaches beyond the end of time wraps round.",
		"db/batch.go",
		`	if ttl <= 0 || nanos < 0 || int64(ttl) > math.MaxInt64-nanos {`,
		`	if ttl <= 0 || nanos < 0 || int64(ttl) > math.MaxInt64-nanos && !PLANTED {`, "db:Live|Large|Expir"},
	{"cache-over-its-share", "memory", "The block cache takes four times what the options leave for it.",
		"db/open.go",
		`	return max(o.MemoryMax-memtablesMax*o.MemtableBytes-pinned, o.MemoryMax/16)`,
		`	if PLANTED {
		return 4 * o.MemoryMax
	}
	return max(o.MemoryMax-memtablesMax*o.MemtableBytes-pinned, o.MemoryMax/16)`, "db:Memory|Cache test/memory"},
	{"memtables-without-end", "memory", "Writers do not wait for flushes.",
		"db/stall.go",
		`	return frozen < (memtablesMax-1)*db.opts.MemtableBytes && len(s.gens) <= frozenMax`,
		`	return PLANTED || frozen < (memtablesMax-1)*db.opts.MemtableBytes && len(s.gens) <= frozenMax`, "db:Memory|Stall|Memtable test/memory"},
	{"prefetch-without-end", "memory", "Cursors fetch ahead without a common bound.",
		"db/prefetch.go",
		`	if db.ahead.Add(more) > db.opts.MemoryMax/aheadShare {`,
		`	if db.ahead.Add(more) > db.opts.MemoryMax/aheadShare && !PLANTED {`, "db:Share|Ahead test/memory"},
	{"hostile-length", "9", "The length in a damaged value-log index decides how much memory is taken.",
		"vlog/sections.go",
		`	if off > room || n != room-off || end < fileHeaderLen || end > off || t.sections > n/sectionLen {`,
		`	if (off > room || n != room-off || end < fileHeaderLen || end > off || t.sections > n/sectionLen) && !PLANTED {`, "vlog:Footers"},
	{"group-limit", "limits", "A group of commits takes all that waits.",
		"internal/commit/write.go",
		`		if bytes > p.cfg.GroupBytesMax || len(group) == p.cfg.GroupCountMax {`,
		`		if (bytes > p.cfg.GroupBytesMax || len(group) == p.cfg.GroupCountMax) && !PLANTED {`, ""},
}
