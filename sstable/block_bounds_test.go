package sstable

import (
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Lengths of an entry that lead out of its block, under a checksum that fits:
// nobody but a forger writes them, and nothing follows them.
func TestEntriesThatLeaveTheirBlockAreRefused(t *testing.T) {
	builder := blockBuilder{interval: 16}
	builder.add([]byte("key"), 0, base.MakeTrailer(1, base.KindSet), []byte("payload"))
	good := builder.finish()
	for i, length := range []string{"shared", "unshared", "payload"} { // the first bytes of an entry
		forged := slices.Clone(good)
		forged[i] = 0x7f
		b, ok := parseBlock(forged)
		if !ok {
			t.Fatalf("%s: the block does not parse", length)
		}
		for name, move := range map[string]func(*blockCursor) bool{
			"first":  func(c *blockCursor) bool { return c.first() },
			"last":   func(c *blockCursor) bool { return c.last() },
			"seekGE": func(c *blockCursor) bool { return c.seekGE([]byte("key"), trailerMax) },
		} {
			var c blockCursor
			c.reset(b)
			if move(&c) || !c.corrupt {
				t.Errorf("%s of 127 bytes: %s stands on %q", length, name, c.key)
			}
		}
		if _, _, _, f := b.search([]byte("key"), base.SeekTrailer(base.SeqNumMax)); f != foundCorrupt {
			t.Errorf("%s of 127 bytes: a search ends with %d", length, f)
		}
	}
}
