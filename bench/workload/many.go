package workload

import (
	"fmt"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// many is what operations of several keys have at hand.
type many struct {
	arena   []byte // of keys
	keys    [][]byte
	answers []answer
	values  []byte // what was read or is to be written
	getter  engine.MultiGetter
	see     func(i int, value []byte, err error) error
}

// answer is what is known about one of the keys.
type answer struct {
	at       uint64 // key index
	before   before
	from, to int // of values
	found    bool
	shown    bool
}

func (v *many) prepare(store engine.Store) {
	v.getter, _ = store.(engine.MultiGetter)
	v.see = func(i int, value []byte, err error) error {
		if i < 0 || i >= len(v.answers) || v.answers[i].shown {
			return &WrongAnswer{Problem: fmt.Sprintf("multiget shows number %d, which was not asked for or was shown already", i)}
		}
		if err != nil && err != engine.ErrNotFound {
			return err
		}
		a := &v.answers[i]
		a.shown, a.found, a.from = true, err == nil, len(v.values)
		if a.found {
			v.values = append(v.values, value...)
		}
		a.to = len(v.values)
		return nil
	}
}

func (v *many) reset() {
	v.arena, v.keys, v.answers, v.values = v.arena[:0], v.keys[:0], v.answers[:0], v.values[:0]
}

// add appends a key; cut makes the slices when all are there, as the arena moves.
func (v *many) add(m *Model, at uint64) *answer {
	v.arena = m.keys.append(v.arena, presentNumber(at))
	v.answers = append(v.answers, answer{at: at})
	return &v.answers[len(v.answers)-1]
}

func (v *many) cut(keyBytes int) {
	for at := 0; at < len(v.arena); at += keyBytes {
		v.keys = append(v.keys, v.arena[at:at+keyBytes:at+keyBytes])
	}
}

func (c *mixClient) prepareMultiRead() {
	c.many.reset()
	for range c.s.multi {
		at := c.choose()
		c.many.add(c.m, at).before = c.m.sample(at)
	}
	c.many.cut(c.m.keys.bytes)
	c.key = append(c.key[:0], c.many.keys[0]...) // to name in errors
}

func (c *mixClient) multiRead() (Outcome, error) {
	v := &c.many
	if v.getter != nil {
		if err := v.getter.MultiGet(v.keys, v.see); err != nil {
			return Outcome{}, err
		}
	} else if err := c.getEach(); err != nil {
		return Outcome{}, err
	}
	out := Outcome{Bytes: len(v.arena) + len(v.values), Checked: len(v.keys)}
	for i := range v.answers {
		if v.answers[i].found {
			out.Items++
		}
	}
	out.NotFound = out.Items == 0
	return out, nil
}

// getEach is for engines without a call for several keys.
func (c *mixClient) getEach() error {
	v := &c.many
	for i, key := range v.keys {
		from := len(v.values)
		values, err := c.store.Get(v.values, key)
		if err != nil && err != engine.ErrNotFound {
			return err
		}
		v.values = values
		a := &v.answers[i]
		a.shown, a.found, a.from, a.to = true, err == nil, from, len(values)
	}
	return nil
}

func (c *mixClient) verifyMultiRead() error {
	for i := range c.many.answers {
		a := &c.many.answers[i]
		err := error(nil)
		switch {
		case !a.shown:
			err = c.m.wrong(presentNumber(a.at), "multiget did not show it")
		case a.found:
			err = c.m.checkValue(a.at, a.before, c.began, c.many.values[a.from:a.to])
		default:
			err = c.m.checkAbsent(a.at, a.before, "not found")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// prepareBatch claims the keys of a batch: fewer than asked for if other clients
// hold all the rest, or at the end of a fill in order.
func (c *mixClient) prepareBatch() {
	c.many.reset()
	entries := c.s.batch
	order, inOrder := c.chooser.(*orderChooser)
	if inOrder {
		entries = min(entries, order.untilEnd(c.s.records()))
	}
	c.addToBatch(c.claim(put))
	for len(c.pending) < entries {
		w, ok := c.tryClaim(put)
		if !ok {
			break
		}
		c.addToBatch(w)
	}
	if inOrder {
		order.endRun()
	}
	c.many.cut(c.m.keys.bytes)
	c.key = append(c.key[:0], c.many.keys[0]...)
}

func (c *mixClient) addToBatch(w write) {
	c.pending = append(c.pending, w)
	a := c.many.add(c.m, w.key)
	a.from = len(c.many.values)
	c.many.values = c.m.gen.append(c.many.values, w.key, w.version)
	a.to = len(c.many.values)
}

func (c *mixClient) commitBatch() (Outcome, error) {
	v := &c.many
	for i, key := range v.keys {
		a := &v.answers[i]
		if err := c.batch.Put(key, v.values[a.from:a.to]); err != nil {
			return Outcome{}, err
		}
	}
	n := len(v.arena) + len(v.values)
	return Outcome{Items: len(v.keys), Bytes: n, Written: n}, c.batch.Commit()
}
