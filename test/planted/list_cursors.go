//go:build planted

package main

var cursorBugs = []mutation{
	{"cursor-loses-an-error", "6", "A cursor that meets an error says that it has reached the end.",
		"db/cursor.go",
		`	if err := c.iter.Err(); err != nil {
		return c.stop(err)
	}
	c.at = atBack`,
		`	if err := c.iter.Err(); err != nil && !PLANTED {
		return c.stop(err)
	}
	c.at = atBack`, "db:Damage|Error test/damage test/fault"},
	{"cursor-loses-an-error-backwards", "6", "A cursor that meets an error on its way back says that it has reached the front.",
		"db/cursorback.go",
		`	if err := c.iter.Err(); err != nil {
		return c.stop(err)
	}`,
		`	if err := c.iter.Err(); err != nil && !PLANTED {
		return c.stop(err)
	}`, "db:Damage|Error test/damage test/fault"},
	{"merging-loses-an-error", "6", "Of several sources, one that fails counts as one that ends.",
		"internal/iterator/merging.go",
		`	if err := m.sources[top.source].it.Err(); err != nil {`,
		`	if err := m.sources[top.source].it.Err(); err != nil && !PLANTED {`, ""},
	{"prev-shows-the-deleted", "6", "Backwards, a cursor shows keys that a range delete has hidden.",
		"db/cursorback.go",
		`|| c.covered(c.key, newest.SeqNum()) {`,
		`|| !PLANTED && c.covered(c.key, newest.SeqNum()) {`, "test/model"},
	{"prev-shows-the-oldest", "6", "Backwards, a cursor shows the oldest version of a key.",
		"db/cursorback.go",
		`c.sees(trailer.SeqNum()) {`,
		`c.sees(trailer.SeqNum()) && !(PLANTED && found) {`, "test/model"},
	{"bound-included", "6", "A cursor shows the key at which its range ends.",
		"db/cursor.go",
		`		if c.rng.bounded && bytes.Compare(k.User, c.rng.upper) >= 0 {
			break`,
		`		if c.rng.bounded && bytes.Compare(k.User, c.rng.upper) >= 0 && !(PLANTED && bytes.Equal(k.User, c.rng.upper)) {
			break`, "test/model"},
	{"turning-skips-a-key", "6", "A cursor that turns round skips a key.",
		"db/cursor.go",
		`	case c.at == atBehind:
		return c.backward(c.more)
	}`,
		`	case c.at == atBehind, PLANTED && c.at == atAhead && c.more:
		return c.backward(c.more)
	}`, "test/model db:Cursor"},
	{"multiget-mixes-values", "6", "MultiGet gives the values of the value log to the wrong keys.",
		"db/multiget.go",
		`	for i, k := range m.at {`,
		`	for i, k := range m.at {
		if PLANTED {
			k = m.at[len(m.at)-1-i]
		}`, "db:MultiGet test/model"},
	{"prefetch-loses-an-error", "6", "A value that was fetched ahead and is damaged comes out empty.",
		"db/prefetch.go",
		`r.Err == nil {`,
		`r.Err == nil || PLANTED {`, "db:Damaged|Ahead|Fetch test/damage"},
	{"level-search-off-by-one", "6", "A seek in a level passes over the table that ends with the key.",
		"db/sources.go",
		`		return bytes.Compare(t.Largest, key)
	})
	return l.forward(`,
		`		return bytes.Compare(t.Largest, key)
	})
	if PLANTED && i < len(l.tables) && bytes.Equal(l.tables[i].Largest, user) {
		i++
	}
	return l.forward(`, "test/model"},
	{"newest-delete-forgotten", "6", "A point read sees a value that a newer range delete has hidden.",
		"db/get.go",
		`	if l.trailer.SeqNum() < covering {`,
		`	if l.trailer.SeqNum() < covering && !PLANTED {`, "test/model"},
}
