package compaction

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
)

const (
	// l0TableTargets times the target size is where a table of level 0 is cut.
	// Flushes come in one table, but a huge batch must not become one file
	// that no compaction can take in small pieces.
	l0TableTargets = 8
	// grandparentTargets times the target size is how much of the next-but-one
	// level a table may overlap: it bounds what compacting it further costs.
	grandparentTargets = 10
)

// outputs is the sink of the entry filter: a run of tables, of which the last
// may be open. A table covers the keys of [lower, upper), where upper is the
// cut that ends it.
type outputs struct {
	// Immutable.
	env          *Env
	stripes      stripes
	bottomRange  func(start, end []byte) bool
	tombs        *rangedel.Set // still needed somewhere
	grandparents []*manifest.TableMeta
	tableBytes   uint64 // where to cut; 0 never
	overlapBytes uint64 // of grandparents per table

	tables  []*manifest.TableMeta
	created []string // paths of all files begun
	bytes   uint64
	entries uint64

	separated, separatedBytes uint64
	payload                   []byte // of a separated value

	// Of the table that is being made.
	lower   []byte
	file    vfs.File // nil if there is nothing yet
	w       *sstable.Writer
	num     base.FileNum
	started bool   // there was a key
	lastKey []byte // the last one, kept only if there are tombstones

	unmeasured uint64 // bytes added since the size was last looked at
	gp         int    // grandparents before it end before the last key
	gpBytes    uint64 // of those that the table passed
	tomb       int    // fragments of tombs before it end at or before lower
}

func newOutputs(env *Env, p WriteParams, tombs *rangedel.Set, st stripes) *outputs {
	o := &outputs{env: env, stripes: st, bottomRange: p.BottomRange, tombs: tombs}
	if p.LevelHint == 0 {
		o.tableBytes = p.TargetTableBytes * l0TableTargets
		return o
	}
	if p.TargetTableBytes > 0 {
		o.tableBytes = p.TargetTableBytes
		o.grandparents = p.Grandparents
		o.overlapBytes = p.TargetTableBytes * grandparentTargets
	}
	return o
}

// add implements sink.
func (o *outputs) add(key base.InternalKey, payload []byte, first bool) error {
	if first {
		if err := o.boundary(key.User); err != nil {
			return err
		}
		o.started = true
		if !o.tombs.Empty() {
			o.lastKey = append(o.lastKey[:0], key.User...)
		}
	}
	o.unmeasured += uint64(len(key.User) + len(payload) + entryOverhead)
	if o.w == nil {
		if err := o.open(); err != nil {
			return err
		}
	}
	if o.env.Separate != nil && key.Trailer.Kind().Op() == base.KindSet {
		var err error
		if key, payload, err = o.separate(key, payload); err != nil {
			return err
		}
	}
	err := o.w.Add(key, payload)
	if errors.Is(err, base.ErrPayload) {
		return malformed(key, err) // the writer decodes pointers, which the filter does not
	}
	return err
}

// separate moves a large value to the value log.
func (o *outputs) separate(key base.InternalKey, payload []byte) (base.InternalKey, []byte, error) {
	kind, seq := key.Trailer.Kind(), key.Trailer.SeqNum()
	expiry, value, err := base.SplitPayload(kind, payload)
	if err != nil || len(value) < o.env.ValueThreshold {
		return key, payload, err
	}
	ptr, err := o.env.Separate(key.User, seq, expiry, value)
	if err != nil {
		return key, nil, fmt.Errorf("compaction: separate a value: %w", err)
	}
	o.separated++
	o.separatedBytes += uint64(ptr.Size)
	kind = base.KindSetPointer | kind&base.FlagExpiry
	o.payload = ptr.Append(base.AppendPayload(o.payload[:0], kind, expiry, nil))
	return base.InternalKey{User: key.User, Trailer: base.MakeTrailer(seq, kind)}, o.payload, nil
}

// boundary cuts the table before a new user key, or at an end of a grandparent
// on the way there, where it should be.
func (o *outputs) boundary(key []byte) error {
	for o.gp < len(o.grandparents) && endsBefore(o.grandparents[o.gp], key) {
		passed := o.grandparents[o.gp]
		o.gp++
		at := key
		if o.gp < len(o.grandparents) {
			at = minKey(key, o.grandparents[o.gp].Smallest)
		}
		if !o.holds(at) {
			o.gpBytes = 0
			continue
		}
		o.gpBytes += passed.Size
		if o.size() >= o.tableBytes/2 || o.gpBytes >= o.overlapBytes {
			if err := o.cut(at); err != nil {
				return err
			}
		}
	}
	if o.tableBytes > 0 && o.unmeasured >= o.tableBytes/64 {
		o.unmeasured = 0
		if o.size() >= o.tableBytes {
			return o.cut(key)
		}
	}
	return nil
}

// holds reports whether the table would hold anything if it were cut at upper.
func (o *outputs) holds(upper []byte) bool {
	frags := o.tombs.Fragments()
	return o.w != nil || o.tomb < len(frags) && bytes.Compare(frags[o.tomb].Start, upper) < 0
}

// size estimates the size of the open table.
func (o *outputs) size() uint64 {
	if o.w == nil {
		return 0
	}
	return o.w.EstimatedSize()
}

func (o *outputs) open() error {
	num := o.env.NewFileNum()
	name := base.FileName(base.FileTable, uint64(num))
	path := filepath.Join(o.env.Dir, name)
	file, err := o.env.FS.Create(path)
	if err != nil {
		return fmt.Errorf("compaction: create %s: %w", name, err)
	}
	o.created = append(o.created, path)
	opts := o.env.Writer
	opts.ID, opts.Keyspace = o.env.NewID(), o.env.Keyspace
	o.file, o.num, o.w = file, num, sstable.NewWriter(file, name, opts)
	return nil
}

// cut ends the table at upper, exclusive; nil is the end of the run. Nothing
// is written if the table holds nothing.
func (o *outputs) cut(upper []byte) error {
	frags := placeable(o.tombs, o.lower, upper, o.stripes, o.bottomRange)
	if o.w == nil && len(frags) > 0 {
		if err := o.open(); err != nil {
			return err
		}
	}
	if o.w != nil {
		if err := o.close(frags); err != nil {
			return err
		}
	}
	o.gpBytes = 0
	o.lower = bytes.Clone(upper)
	all := o.tombs.Fragments()
	for upper != nil && o.tomb < len(all) && bytes.Compare(all[o.tomb].End, upper) <= 0 {
		o.tomb++
	}
	return nil
}

// close finishes the open table, with frags in it.
func (o *outputs) close(frags []rangedel.Fragment) error {
	for _, f := range frags {
		if err := o.w.AddRangeDel(f); err != nil {
			return err
		}
	}
	meta, err := o.w.Finish()
	if err != nil {
		return err
	}
	file := o.file
	o.file, o.w = nil, nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("compaction: close %s: %w", base.FileName(base.FileTable, uint64(o.num)), err)
	}
	o.tables = append(o.tables, tableMeta(o.num, o.env.Keyspace, meta))
	o.bytes += meta.Size
	o.entries += meta.Entries
	return nil
}

// finish ends the last table and makes the names of all durable.
func (o *outputs) finish() error {
	if frags := o.tombs.Fragments(); len(frags) > 0 {
		if end := frags[len(frags)-1].End; !o.started || bytes.Compare(o.lastKey, end) < 0 {
			if err := o.boundary(end); err != nil {
				return err
			}
		}
	}
	if err := o.cut(nil); err != nil {
		return err
	}
	if len(o.tables) == 0 {
		return nil
	}
	if err := o.env.FS.SyncDir(o.env.Dir); err != nil {
		return fmt.Errorf("compaction: sync directory: %w", err)
	}
	return nil
}

// abandon closes and removes everything. What fails here leaves orphan files,
// which the next open removes.
func (o *outputs) abandon() error {
	var errs []error
	if o.file != nil {
		errs = append(errs, o.file.Close())
		o.file, o.w = nil, nil
	}
	for _, path := range o.created {
		errs = append(errs, o.env.FS.Remove(path))
	}
	return errors.Join(errs...)
}

// tableMeta is what the MANIFEST keeps of a table.
func tableMeta(num base.FileNum, keyspace uint32, m sstable.Meta) *manifest.TableMeta {
	return &manifest.TableMeta{
		Num: num, Size: m.Size, ID: m.ID, Keyspace: keyspace,
		Smallest: m.Smallest, Largest: m.Largest, LargestExclusive: m.LargestIsExclusive,
		SeqMin: m.SeqMin, SeqMax: m.SeqMax,
		Entries: m.Entries, Deletes: m.Deletes, Merges: m.Merges, RangeDels: m.RangeDels,
		KeyBytes: m.KeyBytes, ValueBytes: m.ValueBytes, VlogBytes: m.VlogBytes,
		Expiring: m.Expiring, ExpiryMin: m.ExpiryMin, ExpiryMax: m.ExpiryMax,
	}
}

// endsBefore reports whether every key of t is below key.
func endsBefore(t *manifest.TableMeta, key []byte) bool {
	c := bytes.Compare(t.Largest, key)
	return c < 0 || c == 0 && t.LargestExclusive
}

func minKey(a, b []byte) []byte {
	if bytes.Compare(a, b) <= 0 {
		return a
	}
	return b
}

// removeTables removes finished tables that will not be used.
func removeTables(env *Env, tables []*manifest.TableMeta) error {
	var errs []error
	for _, t := range tables {
		name := base.FileName(base.FileTable, uint64(t.Num))
		errs = append(errs, env.FS.Remove(filepath.Join(env.Dir, name)))
	}
	return errors.Join(errs...)
}
