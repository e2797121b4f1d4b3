//go:build planted

package main

var keyspaceBugs = []mutation{
	{"keyspace-number-reused", "2", "A rewritten MANIFEST forgets which keyspace numbers were given out.",
		"manifest/patch.go",
		`	e.AddKeyspaces(v.Trees, ch.nextKeyspace)`,
		`	if PLANTED {
		ch.nextKeyspace = v.Trees[len(v.Trees)-1].Num + 1
	}
	e.AddKeyspaces(v.Trees, ch.nextKeyspace)`, ""},
	{"dropped-keyspace-keeps-its-files", "8", "The tables of a dropped keyspace are never removed.",
		"compaction/pick_dropped.go",
		`	if !tree.Dropped {`,
		`	if !tree.Dropped || PLANTED {`, ""},
	{"dropped-keyspace-keeps-its-values", "8", "The values of a dropped keyspace are never collected.",
		"db/gc.go",
		`		return false, nil // dropped: who still reads it has an older version`,
		`		return PLANTED, nil // dropped: who still reads it has an older version`, "db:Drop|Keyspace"},
	{"settings-forgotten", "11", "A keyspace has no default time to live when the store is opened again.",
		"db/settings.go",
		`	field(settingTTL, zigzag(int64(s.ttl)))`,
		`	if !PLANTED {
		field(settingTTL, zigzag(int64(s.ttl)))
	}`, "db:Settings|Keyspace"},
	{"operator-not-recorded", "6", "A store does not remember which operator its merges are meant for.",
		"db/writer.go",
		`			if !u.merge {`,
		`			if !u.merge || PLANTED {`, "db:Operator|Merge test/model"},
	{"checkpoint-without-the-newest", "1", "A checkpoint lacks what is in memory.",
		"db/checkpoint.go",
		`	if err := db.flushAll(ctx); err != nil {`,
		`	if PLANTED {
		return db.set.Current(), nil
	}
	if err := db.flushAll(ctx); err != nil {`, "db:Checkpoint test/model"},
	{"checkpoint-forgets-sequence-number", "2", "The store made of a checkpoint begins to count from the start.",
		"db/checkpoint.go",
		`	edit.LastSeq = &seq`,
		`	if !PLANTED {
		edit.LastSeq = &seq
	}`, "db:GoesOnCounting"},
	{"newer-settings-are-damage", "11", "Settings that newer software wrote are taken for damage.",
		"db/settings.go",
		`	if errors.Is(err, errNewerSettings) {`,
		`	if errors.Is(err, errNewerSettings) && !PLANTED {`, "db:Settings"},
}
