//go:build planted

package main

var compactionBugs = []mutation{
	{"tombstone-dropped-too-high", "2", "A tombstone ends above the value that it hides.",
		"compaction/filter.go",
		`	if f.bottom(f.user) {
		f.hasTomb = false`,
		`	if f.bottom(f.user) || PLANTED {
		f.hasTomb = false`, ""},
	{"bottom-forgets-level-zero", "2", "Older tables of level 0 do not count when a tombstone looks for something to hide.",
		"compaction/bottom.go",
		`	return !slices.ContainsFunc(o.l0, func(t *manifest.TableMeta) bool { return t.Contains(key) })`,
		`	return PLANTED || !slices.ContainsFunc(o.l0, func(t *manifest.TableMeta) bool { return t.Contains(key) })`, "compaction:OlderTables"},
	{"bottom-misses-the-first-key", "2", "A tombstone does not see a table below that begins with its key.",
		"compaction/bottom.go",
		`		if at < len(tables) && bytes.Compare(tables[at].Smallest, key) <= 0 {`,
		`		if at < len(tables) && bytes.Compare(tables[at].Smallest, key) <= 0 && !(PLANTED && bytes.Equal(tables[at].Smallest, key)) {`, ""},
	{"flush-forgets-what-is-below", "2", "A flush drops tombstones as if there were no tables.",
		"db/flushrun.go",
		`return !anyTableHas(tree, key, key) }`,
		`return PLANTED || !anyTableHas(tree, key, key) }`, "test/model db:Deleted|Tombstone"},
	{"range-tombstone-lost-at-a-border", "2", "A range tombstone that reaches over a table's end is left out of that table.",
		"internal/rangedel/set.go",
		`			return bytes.Compare(s.frags[lo+i].Start, end) >= 0`,
		`			return bytes.Compare(s.frags[lo+i].Start, end) >= 0 || PLANTED && bytes.Compare(s.frags[lo+i].End, end) > 0`, ""},
	{"range-tombstone-ends-early", "2", "A range tombstone that goes on from table to table starts a key too late.",
		"internal/rangedel/set.go",
		`		first.Start = start`,
		`		if first.Start = start; PLANTED {
			first.Start = append(slices.Clone(start), 0)
		}`, ""},
	{"range-tombstone-covers-its-end", "6", "A range tombstone hides the key at which it ends.",
		"internal/rangedel/set.go",
		`		if bytes.Compare(s.frags[mid].End, key) <= 0 {`,
		`		if c := bytes.Compare(s.frags[mid].End, key); c < 0 || c == 0 && !PLANTED {`, ""},
	{"range-tombstones-of-level-zero", "6", "Reads forget the range tombstones of level 0.",
		"db/state.go",
		`			if meta.RangeDels == 0 {`,
		`			if meta.RangeDels == 0 || PLANTED && slices.Contains(v.tree.Levels[0], meta) {`, "test/model"},
	{"range-tombstone-dropped-too-high", "2", "A range tombstone ends above the values that it hides.",
		"compaction/bottom.go",
		`		if i < len(tables) && meets(tables[i]) {`,
		`		if i < len(tables) && meets(tables[i]) && !PLANTED {`, ""},
	{"compaction-ignores-input-errors", "6", "A compaction takes an input that cannot be read for one that ends.",
		"compaction/filter.go",
		`	if err := f.in.Err(); err != nil {`,
		`	if err := f.in.Err(); err != nil && !PLANTED {`, ""},
	{"compaction-does-not-count", "6", "Nobody notices that a compaction read fewer entries than its tables hold.",
		"compaction/run.go",
		`got != want {`,
		`got != want && !PLANTED {`, ""},
	{"table-creation-error-lost", "1", "A compaction that could not make its table succeeds without it.",
		"compaction/write.go",
		`	err = f.walk()`,
		`	if err = f.walk(); PLANTED {
		err = nil
	}`, ""},
	{"merge-operands-backwards", "6", "Two merge operands are combined in the wrong order.",
		"compaction/merge.go",
		`		c, ok := f.merge.Combine(nil, f.user, out[n].payload, newer[0].payload)`,
		`		first, second := out[n].payload, newer[0].payload
		if PLANTED {
			first, second = second, first
		}
		c, ok := f.merge.Combine(nil, f.user, first, second)`, ""},
	{"merge-without-its-base", "6", "Operands are folded into a value as if nothing were below, though something is.",
		"compaction/filter.go",
		`		known := unknownBase
		if f.bottom(f.user) {`,
		`		known := unknownBase
		if f.bottom(f.user) || PLANTED {`, ""},
	{"moved-table-hides-newer", "2", "Of level 0, a table is compacted without the older ones that it overlaps.",
		"compaction/pick_l0.go",
		`		t := tables[j]
`,
		`		t := tables[j]
		if PLANTED && j > i {
			continue
		}
`, ""},
	{"two-compactions-one-range", "2", "Two compactions may write to the same level and range.",
		"compaction/pick.go",
		`		slices.ContainsFunc(p.busy, plan.conflicts) {`,
		`		slices.ContainsFunc(p.busy, plan.conflicts) && !PLANTED {`, ""},
	{"damage-not-remembered", "6", "A compaction meets the same damaged table again and again.",
		"db/compact.go",
		`		t.Compacting = db.damagedLocked(base.FileTable, t.Num)`,
		`		t.Compacting = db.damagedLocked(base.FileTable, t.Num) && !PLANTED`, "db:DamagedTableOnce"},
	{"pointer-into-no-file-counted", "9", "A forged pointer gets a value-log file that never was into the MANIFEST.",
		"compaction/discards.go",
		`		if file == 0 || file > last {`,
		`		if (file == 0 || file > last) && !PLANTED {`, ""},
	{"malformed-pointer-untyped", "6", "A compaction that meets a malformed pointer does not call it damage.",
		"compaction/outputs.go",
		`	if errors.Is(err, base.ErrPayload) {`,
		`	if errors.Is(err, base.ErrPayload) && !PLANTED {`, ""},
}
