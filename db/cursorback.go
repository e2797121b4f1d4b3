package db

import (
	"bytes"

	"github.com/cordwood-db/cordwood/internal/base"
)

// backward finds the last key from iter's entry down that has a value. ok says
// whether iter stands on an entry. Versions come oldest first, so the newest
// visible one is known only when iter has passed them all: payloads are copied
// on the way.
func (c *Cursor) backward(ok bool) bool {
	c.valid = false
	for ok {
		k := c.iter.Key()
		if bytes.Compare(k.User, c.rng.lower) < 0 {
			break
		}
		c.key = append(c.key[:0], k.User...)
		var shown bool
		var err error
		if shown, ok, err = c.showBackward(); err != nil {
			return c.stop(err)
		}
		if shown {
			c.at, c.more, c.valid = atBehind, ok, true
			return true
		}
	}
	if err := c.iter.Err(); err != nil {
		return c.stop(err)
	}
	c.at = atFront
	return false
}

// showBackward makes the newest visible version of the current key the current
// entry and moves iter before all its versions; more says whether there is an
// entry.
func (c *Cursor) showBackward() (shown, more bool, err error) {
	var newest base.Trailer
	found := false
	more = true
	for more && bytes.Equal(c.iter.Key().User, c.key) {
		if trailer := c.iter.Key().Trailer; c.sees(trailer.SeqNum()) {
			newest, found = trailer, true
			c.saved = append(c.saved[:0], c.iter.Value()...)
		}
		more = c.iter.Prev()
	}
	if err := c.iter.Err(); err != nil {
		return false, false, err
	}
	if !found || newest.Kind().Op() == base.KindDelete || c.covered(c.key, newest.SeqNum()) {
		return false, more, nil
	}
	shown, err = c.showSaved(newest)
	return shown, more, err
}

// showSaved makes the version whose payload is in c.saved the current entry.
func (c *Cursor) showSaved(trailer base.Trailer) (bool, error) {
	kind := trailer.Kind()
	if kind.Op() == base.KindMerge && !c.rng.keysOnly {
		// Merges are rare where one walks backward: gather the operands from
		// the newest down, as a point read does.
		value, err := c.appendMerged(c.saved[:0])
		if err != nil {
			return false, err
		}
		c.saved = value
		c.kind, c.seqAt, c.expiry, c.value = base.KindSet, 0, 0, value
		return true, nil
	}
	expiry, value, err := base.SplitPayload(kind, c.saved)
	if err != nil {
		return false, payloadError(c.key, trailer, err)
	}
	if kind.HasExpiry() && expiry <= c.now {
		return false, nil
	}
	c.kind, c.seqAt, c.expiry, c.value = kind, trailer.SeqNum(), expiry, value
	return true, nil
}
