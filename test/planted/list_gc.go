//go:build planted

package main

var gcBugs = []mutation{
	{"gc-ignores-snapshots", "4", "Values that only a snapshot can read are collected.",
		"db/gc.go",
		`	r := reader{db: db, s: s, v: v, seq: rec.Seq}`,
		`	r := reader{db: db, s: s, v: v, seq: rec.Seq}
	if PLANTED {
		r.seq = base.SeqNumMax
	}`, "db:Garbage|Collect test/model"},
	{"gc-believes-any-pointer", "2", "A value is kept, or not, by its key alone.",
		"db/gc.go",
		`	return ptr.File == rec.Pointer.File && ptr.Offset == rec.Pointer.Offset, nil`,
		`	if PLANTED {
		return ptr.File == rec.Pointer.File && ptr.Offset > rec.Pointer.Offset, nil
	}
	return ptr.File == rec.Pointer.File && ptr.Offset == rec.Pointer.Offset, nil`, "db:Garbage|Collect|Overstated test/model"},
	{"gc-ignores-feeds", "4", "Values that a change feed still has to deliver are collected.",
		"db/gc_victims.go",
		`|| db.retained.holds(f.logicals) {`,
		`|| !PLANTED && db.retained.holds(f.logicals) {`, "db:Feed test/model"},
	{"gc-drops-the-unexpired", "2", "A file of values goes as soon as one of them has expired.",
		"db/gc_victims.go",
		`m.AllExpire && m.ExpiryMax <= now`,
		`m.AllExpire && (m.ExpiryMax <= now || PLANTED && m.ExpiryMin <= now)`, "db:Garbage|Expire|Space test/model"},
	{"gc-forgets-the-horizon", "2", "Expired values are dropped, and nothing remembers that when the clock goes back.",
		"db/gc.go",
		`		edit.ExpiryHorizon = &horizon`,
		`		if !PLANTED {
			edit.ExpiryHorizon = &horizon
		}`, "db:Expire|Horizon test/model"},
	{"gc-takes-active-files", "2", "A value-log file is collected while it is written to.",
		"db/gc_victims.go",
		`func(m *manifest.VlogMeta) bool { return !m.Sealed })`,
		`func(m *manifest.VlogMeta) bool { return !m.Sealed && !PLANTED })`, "db:Garbage|Collect|Seal test/model"},
	{"gc-takes-damage-for-the-end", "6", "Garbage collection stops at a damaged record, and removes what is behind it.",
		"db/gc.go",
		`			if isCorruption(err) {`,
		`			if isCorruption(err) && PLANTED {
				continue
			}
			if isCorruption(err) {`, "db:CollectionStops"},
	{"gc-forgets-keyspaces", "2", "Whether a value is needed is asked of the default keyspace.",
		"db/gc.go",
		`	v := s.view(rec.Keyspace)`,
		`	v := s.view(rec.Keyspace)
	if PLANTED {
		v = s.view(0)
	}`, "test/model db:Keyspace"},
	{"gc-keeps-expiry-of-nobody", "2", "A copied file of values is said to expire as a whole.",
		"vlog/info.go",
		`return t.records > 0 && t.expiring == t.records }`,
		`return t.records > 0 && (t.expiring == t.records || PLANTED && t.expiring > 0) }`, ""},
	{"pinned-file-sealed", "2", "A value-log file is sealed while a flush still writes to it.",
		"db/logs.go",
		`		if visible >= f.lastSeq && a.pins[f.num] == 0 {`,
		`		if visible >= f.lastSeq && (a.pins[f.num] == 0 || PLANTED) {`, "db:Pinned|Seal|Collect test/model test/crash"},
	{"garbage-not-counted", "8", "Nothing tells how much of the value log is garbage: it never shrinks.",
		"compaction/discards.go",
		`			d.bytes[p.File] += uint64(p.Size)`,
		`			if !PLANTED {
				d.bytes[p.File] += uint64(p.Size)
			}`, "compaction db:Garbage|Space|Deleted test/space"},
}
