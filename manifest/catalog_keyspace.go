package manifest

import (
	"math"
	"slices"
	"unicode/utf8"
)

// KeyspaceNameMax is the longest name of a keyspace, in bytes.
const KeyspaceNameMax = 255

// keyspaceNumMax is above every keyspace number.
const keyspaceNumMax = math.MaxUint32

// knownKeyspace is a keyspace of the catalog.
type knownKeyspace struct {
	Keyspace
	tables int // in its tree
}

// treeChange is what an edit does to one keyspace.
type treeChange struct {
	keyspace *Keyspace // new facts; nil: they stay
	levels   [NumLevels]levelChange
	tables   int // more than before
	removed  bool
}

// tree returns the change of a keyspace, an empty one at first.
func (ch *change) tree(num uint32) *treeChange {
	t := ch.trees[num]
	if t == nil {
		t = &treeChange{}
		ch.trees[num] = t
	}
	return t
}

// keyspaceCheck is the state of checkKeyspaces. The parts of an edit act in
// this order: keyspaces are dropped, added and changed, then the edit does to
// the tables what it does, and keyspaces are removed.
type keyspaceCheck struct {
	catalog *catalog
	change  *change
	names   map[string]bool // taken (true) or set free (false) by the edit
}

// checkKeyspaces works out what e does to keyspaces, removing them apart.
func (c *catalog) checkKeyspaces(e *Edit, ch *change, given uint32) error {
	if e.NextKeyspace > keyspaceNumMax {
		return editErrorf("a counter is out of range")
	}
	ch.nextKeyspace = max(ch.nextKeyspace, e.NextKeyspace)
	if len(e.KeyspacesAdded)+len(e.KeyspacesDropped)+len(e.KeyspacesChanged) == 0 {
		return nil
	}
	k := keyspaceCheck{catalog: c, change: ch, names: make(map[string]bool)}
	for _, num := range e.KeyspacesDropped {
		if err := k.drop(num); err != nil {
			return err
		}
	}
	next := c.nextKeyspace
	for i := range e.KeyspacesAdded {
		if err := k.add(&e.KeyspacesAdded[i], next, given); err != nil {
			return err
		}
		next = e.KeyspacesAdded[i].Num + 1
	}
	ch.nextKeyspace = max(ch.nextKeyspace, next)
	done := make(map[uint32]KeyspaceChange) // what was changed already
	for _, kc := range e.KeyspacesChanged {
		if err := k.alter(kc, done); err != nil {
			return err
		}
	}
	return nil
}

// facts are those that the edit has left so far; nil if there is no such
// keyspace.
func (k *keyspaceCheck) facts(num uint32) *Keyspace {
	if t := k.change.trees[num]; t != nil && t.keyspace != nil {
		return t.keyspace
	}
	if known := k.catalog.keyspaces[num]; known != nil {
		return &known.Keyspace
	}
	return nil
}

// hasKeyspace reports whether a table may be added to a keyspace. A dropped one
// takes it too: work that was begun before the drop need not fail.
func (c *catalog) hasKeyspace(num uint32, ch *change) bool {
	if c.keyspaces[num] != nil {
		return true
	}
	t := ch.trees[num]
	return t != nil && t.keyspace != nil
}

// edit returns facts that the change owns; nil if there is no such keyspace.
func (k *keyspaceCheck) edit(num uint32) *Keyspace {
	facts := k.facts(num)
	if facts == nil {
		return nil
	}
	t := k.change.tree(num)
	if t.keyspace == nil {
		t.keyspace = new(*facts)
	}
	return t.keyspace
}

func (k *keyspaceCheck) drop(num uint32) error {
	facts := k.edit(num)
	if num == 0 || facts == nil || facts.Dropped {
		return editErrorf("keyspace %d to drop is the default one, not there, or dropped already", num)
	}
	facts.Dropped = true
	k.names[facts.Name] = false
	return nil
}

// add checks a new keyspace, whose number must be at least next.
func (k *keyspaceCheck) add(ks *Keyspace, next, given uint32) error {
	if ks.Num < next || ks.Num >= min(given, keyspaceNumMax) {
		return editErrorf("keyspace number %d was used before, or not given out", ks.Num)
	}
	if err := ks.checkName(); err != nil {
		return err
	}
	if !ks.Dropped {
		taken, ours := k.names[ks.Name]
		if _, known := k.catalog.names[ks.Name]; taken || known && !ours {
			return editErrorf("keyspace %q exists already", ks.Name)
		}
		k.names[ks.Name] = true
	}
	facts := new(*ks)
	facts.Settings = orNil(facts.Settings)
	k.change.tree(ks.Num).keyspace = facts
	return nil
}

// orNil makes empty settings nil, so that equal ones look the same.
func orNil(settings []byte) []byte {
	if len(settings) == 0 {
		return nil
	}
	return settings
}

// alter changes facts of a keyspace, each of them once in an edit.
func (k *keyspaceCheck) alter(kc KeyspaceChange, done map[uint32]KeyspaceChange) error {
	facts := k.edit(kc.Num)
	if facts == nil {
		return editErrorf("keyspace %d to change does not exist", kc.Num)
	}
	was := done[kc.Num]
	if kc.MergeOperator != nil {
		if was.MergeOperator != nil {
			return editErrorf("keyspace %d gets two merge operators", kc.Num)
		}
		facts.MergeOperator, was.MergeOperator = *kc.MergeOperator, kc.MergeOperator
	}
	if kc.Settings != nil {
		if was.Settings != nil {
			return editErrorf("keyspace %d gets two settings", kc.Num)
		}
		facts.Settings, was.Settings = orNil(kc.Settings), kc.Settings
	}
	done[kc.Num] = was
	return nil
}

// checkName looks for a name that no keyspace of that number can have.
func (ks *Keyspace) checkName() error {
	switch n := len(ks.Name); {
	case ks.Num == 0 && (n > 0 || ks.Dropped):
		return editErrorf("the default keyspace has a name or is dropped")
	case ks.Num > 0 && (n == 0 || n > KeyspaceNameMax || !utf8.ValidString(ks.Name)):
		return editErrorf("keyspace %d has a name of %d bytes, or not in UTF-8", ks.Num, n)
	}
	return nil
}

// checkRemoved takes keyspaces out that were dropped by an earlier edit and
// have no tables after this one.
func (c *catalog) checkRemoved(e *Edit, ch *change) error {
	for _, num := range e.KeyspacesRemoved {
		known := c.keyspaces[num]
		if known == nil || !known.Dropped {
			return editErrorf("keyspace %d to remove is not there or not dropped", num)
		}
		t := ch.tree(num)
		if t.removed || known.tables+t.tables > 0 {
			return editErrorf("keyspace %d is removed twice, or has tables", num)
		}
		t.removed = true
	}
	return nil
}

// commitTree makes the change of one keyspace.
func (c *catalog) commitTree(num uint32, t *treeChange) {
	for level := range t.levels {
		for _, m := range t.levels[level].deleted {
			delete(c.tables, m.Num)
		}
	}
	for level := range t.levels {
		for _, m := range t.levels[level].added {
			c.tables[m.Num] = placedTable{level, m}
		}
	}
	known := c.keyspaces[num]
	if t.removed {
		delete(c.keyspaces, num)
		return
	}
	if known == nil {
		known = &knownKeyspace{}
		c.keyspaces[num] = known
	}
	known.tables += t.tables
	if t.keyspace != nil {
		known.Keyspace = *t.keyspace
	}
}

// commitNames brings the names up to date: those that are set free, then those
// that are taken, which may be the same ones.
func (c *catalog) commitNames(ch *change) {
	for num, t := range ch.trees {
		if t.keyspace != nil && t.keyspace.Dropped && c.names[t.keyspace.Name] == num {
			delete(c.names, t.keyspace.Name)
		}
	}
	for num, t := range ch.trees {
		if t.keyspace != nil && !t.keyspace.Dropped {
			c.names[t.keyspace.Name] = num
		}
	}
}

// tree returns the tree of a keyspace without tables.
func (k *knownKeyspace) tree() *Tree { return &Tree{Keyspace: k.Keyspace, indexed: true} }

// trees builds a tree of each keyspace with its tables, ascending by number.
func (c *catalog) trees() []*Tree {
	byNum := make(map[uint32]*Tree, len(c.keyspaces))
	trees := make([]*Tree, 0, len(c.keyspaces))
	for num, k := range c.keyspaces {
		byNum[num] = k.tree()
		trees = append(trees, byNum[num])
	}
	for _, p := range c.tables {
		t := byNum[p.meta.Keyspace]
		t.Levels[p.level] = append(t.Levels[p.level], p.meta)
	}
	for _, t := range trees {
		for level, tables := range t.Levels {
			slices.SortFunc(tables, levelOrder(level))
			t.sums[level] = levelSum{}.plus(&levelChange{added: tables})
		}
	}
	slices.SortFunc(trees, func(a, b *Tree) int { return treeOrder(a, b.Num) })
	return trees
}
