package manifest

import (
	"bytes"
	"math"

	"github.com/cordwood-db/cordwood/internal/base"
)

// fileNumMax bounds file numbers, so that the counter cannot run over.
const fileNumMax = 1<<56 - 1

// catalog is the newest state, indexed by file number. It is what edits are
// checked against, and all that replaying a MANIFEST changes: versions are
// built only where someone can see them.
//
// Not safe for concurrent use.
type catalog struct {
	keyspaces map[uint32]*knownKeyspace
	names     map[string]uint32 // of keyspaces that are not dropped

	tables   map[base.FileNum]placedTable
	vlogs    map[base.FileNum]*VlogMeta // by logical number; metas are immutable
	physical map[base.FileNum]physicalVlog

	minSegment    base.SegmentNum
	minSegmentID  uint64 // 0: not known
	lastSeq       base.SeqNum
	expiryHorizon uint64
	nextFile      base.FileNum // every number in use is below it
	nextKeyspace  uint32       // every number that was ever used is below it
}

type placedTable struct {
	level int
	meta  *TableMeta
}

// physicalVlog is a physical value-log file and how many logical ones it holds.
type physicalVlog struct {
	id    uint64
	names int
}

func newCatalog() *catalog {
	return &catalog{
		keyspaces:    map[uint32]*knownKeyspace{0: {}},
		names:        map[string]uint32{"": 0},
		nextKeyspace: 1,

		tables:   make(map[base.FileNum]placedTable),
		vlogs:    make(map[base.FileNum]*VlogMeta),
		physical: make(map[base.FileNum]physicalVlog),
	}
}

// change is a checked edit: what commit does to the catalog, and what has to
// be patched in a version.
type change struct {
	trees map[uint32]*treeChange     // by keyspace
	vlogs map[base.FileNum]*VlogMeta // new facts by logical number; nil: removed

	// One entry per name given to or taken from a file.
	filesAdded, filesRemoved []FileRef

	minSegment    base.SegmentNum
	minSegmentID  uint64
	lastSeq       base.SeqNum
	expiryHorizon uint64
	nextFile      base.FileNum
	nextKeyspace  uint32
}

type levelChange struct {
	added, deleted []*TableMeta
}

// given are the lowest numbers that were not given out yet.
type given struct {
	file     base.FileNum
	keyspace uint32
}

// givenAny allows all numbers.
var givenAny = given{math.MaxUint64, math.MaxUint32}

// check makes a change of e, or an error if e does not fit. It changes
// nothing.
func (c *catalog) check(e *Edit, given given) (*change, error) {
	ch := &change{
		trees:         make(map[uint32]*treeChange),
		minSegment:    c.minSegment,
		minSegmentID:  c.minSegmentID,
		lastSeq:       c.lastSeq,
		expiryHorizon: c.expiryHorizon,
		nextFile:      max(c.nextFile, e.NextFile),
		nextKeyspace:  c.nextKeyspace,
	}
	if e.MinSegment != nil {
		ch.raiseMinSegment(*e.MinSegment, e.MinSegmentID)
	}
	if e.LastSeq != nil {
		ch.lastSeq = max(ch.lastSeq, *e.LastSeq)
	}
	if e.ExpiryHorizon != nil {
		ch.expiryHorizon = max(ch.expiryHorizon, *e.ExpiryHorizon)
	}
	if ch.nextFile > fileNumMax || ch.lastSeq > base.SeqNumMax {
		return nil, editErrorf("a counter is out of range")
	}
	if err := c.checkKeyspaces(e, ch, given.keyspace); err != nil {
		return nil, err
	}
	if err := c.checkTables(e, ch, given.file); err != nil {
		return nil, err
	}
	if err := c.checkRemoved(e, ch); err != nil {
		return nil, err
	}
	return ch, c.checkVlogs(e, ch, given.file)
}

func (c *catalog) checkTables(e *Edit, ch *change, given base.FileNum) error {
	gone := make(map[base.FileNum]*TableMeta, len(e.Deleted))
	for _, d := range e.Deleted {
		if d.Level < 0 || d.Level >= NumLevels {
			return editErrorf("no level %d", d.Level)
		}
		p, ok := c.tables[d.Num]
		if !ok || p.level != d.Level {
			return editErrorf("table %d to delete is not in level %d", d.Num, d.Level)
		}
		if gone[d.Num] != nil {
			return editErrorf("table %d is deleted twice", d.Num)
		}
		gone[d.Num] = p.meta
		tree := ch.tree(p.meta.Keyspace)
		tree.tables--
		lc := &tree.levels[d.Level]
		lc.deleted = append(lc.deleted, p.meta)
		ch.filesRemoved = append(ch.filesRemoved, FileRef{base.FileTable, d.Num})
	}
	seen := make(map[base.FileNum]bool, len(e.Added))
	for _, a := range e.Added {
		if a.Level < 0 || a.Level >= NumLevels {
			return editErrorf("no level %d", a.Level)
		}
		if a.Meta == nil {
			return editErrorf("a table without facts")
		}
		if err := a.Meta.check(); err != nil {
			return err
		}
		n := a.Meta.Num
		_, have := c.tables[n]
		if was := gone[n]; was != nil && (was.ID != a.Meta.ID || was.Keyspace != a.Meta.Keyspace) {
			return editErrorf("table %d changes its id or its keyspace", n)
		} else if seen[n] || (have && was == nil) {
			return editErrorf("table %d is added twice", n)
		}
		if err := ch.useFile(n, given); err != nil {
			return err
		}
		if !c.hasKeyspace(a.Meta.Keyspace, ch) {
			return editErrorf("keyspace %d of table %d does not exist", a.Meta.Keyspace, n)
		}
		seen[n] = true
		tree := ch.tree(a.Meta.Keyspace)
		tree.tables++
		lc := &tree.levels[a.Level]
		lc.added = append(lc.added, a.Meta)
		ch.filesAdded = append(ch.filesAdded, FileRef{base.FileTable, n})
		ch.lastSeq = max(ch.lastSeq, a.Meta.SeqMax)
	}
	return nil
}

// check looks for facts that no table can have.
func (t *TableMeta) check() error {
	switch c := bytes.Compare(t.Smallest, t.Largest); {
	case t.Size == 0:
		return editErrorf("table %d is empty", t.Num)
	case c > 0 || (c == 0 && t.LargestExclusive):
		return editErrorf("table %d has bounds %q, %q", t.Num, t.Smallest, t.Largest)
	case t.SeqMin > t.SeqMax || t.SeqMax > base.SeqNumMax:
		return editErrorf("table %d has sequence numbers from %d to %d", t.Num, t.SeqMin, t.SeqMax)
	}
	return nil
}

// useFile notes that the edit names file n as a new one.
func (ch *change) useFile(n, given base.FileNum) error {
	if n == 0 || n >= min(given, fileNumMax) {
		return editErrorf("file number %d was not given out", n)
	}
	ch.nextFile = max(ch.nextFile, n+1)
	return nil
}

// commit makes the change. It must come from check, with no commit between.
func (c *catalog) commit(ch *change) {
	c.commitNames(ch)
	for num, tree := range ch.trees {
		c.commitTree(num, tree)
	}
	for logical, m := range ch.vlogs {
		if old := c.vlogs[logical]; old != nil {
			p := c.physical[old.Physical]
			if p.names--; p.names > 0 {
				c.physical[old.Physical] = p
			} else {
				delete(c.physical, old.Physical)
			}
		}
		if m == nil {
			delete(c.vlogs, logical)
			continue
		}
		c.vlogs[logical] = m
		p := c.physical[m.Physical]
		c.physical[m.Physical] = physicalVlog{m.PhysicalID, p.names + 1}
	}
	c.minSegment, c.minSegmentID, c.lastSeq = ch.minSegment, ch.minSegmentID, ch.lastSeq
	c.expiryHorizon = ch.expiryHorizon
	c.nextFile, c.nextKeyspace = ch.nextFile, ch.nextKeyspace
}

// raiseMinSegment takes over a newer segment with its id, or the id of the
// present one.
func (ch *change) raiseMinSegment(segment base.SegmentNum, id uint64) {
	switch {
	case segment > ch.minSegment:
		ch.minSegment, ch.minSegmentID = segment, id
	case segment == ch.minSegment && id != 0:
		ch.minSegmentID = id
	}
}

// addCapped is a+b, or the largest number if that does not fit.
func addCapped(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
