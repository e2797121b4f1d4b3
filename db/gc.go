package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vlog"
)

// Value-log garbage collection copies the live records of files that hold much
// garbage to a new file, and tells the MANIFEST where each logical file's
// records are now. It writes nothing to the tree and takes no sequence number.
//
// Why it is safe:
//
//  1. Only sealed files are collected, after every commit and flush that
//     appended to them is published: see sealReplaced.
//  2. A record is kept if the tree holds an entry with its key, its sequence
//     number and its pointer, which is looked up, or known from the list of
//     all entries that flushes and compactions have dropped (deadLists).
//     Entries never come back once they are gone, so one that is missing is
//     missing for every later reader.
//  3. An earlier reader holds a read state whose version maps the logical file
//     to the old physical file, which is there as long as that version is.
//  4. Garbage found while the copy is made is subtracted under the MANIFEST's
//     lock (manifest.VlogMove).

// gcRatioMin is the share of garbage below which a file is not worth copying
// when collection runs by itself.
const gcRatioMin = 0.05

// CollectGarbage gives back the disk space of values that have been deleted,
// overwritten or have expired, as far as compaction knows of them, wherever
// they are more than ratio (0 to 1) of a value-log file. Collection also runs
// by itself: calling this is for those who want the space back now. Compact
// first to make all garbage known.
func (db *DB) CollectGarbage(ctx context.Context, ratio float64) error {
	return db.during(ctx, func(ctx context.Context) error { return db.collectAll(ctx, ratio) })
}

// collectAll is CollectGarbage.
func (db *DB) collectAll(ctx context.Context, ratio float64) error {
	if err := db.writable(); err != nil {
		return err
	}
	err := db.pipeline.Exclusive(func() error {
		db.retireValues(1)
		return nil
	})
	if err != nil {
		return err
	}
	db.gcMu.Lock()
	defer db.gcMu.Unlock()
	if err := db.sealReplaced(); err != nil {
		return err
	}
	tried := make(map[base.FileNum]bool) // by logical number: a copy is not tried again
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		victims := db.pickVictims(ratio, tried)
		if len(victims) == 0 {
			return nil
		}
		for _, v := range victims {
			for _, m := range v.logicals {
				tried[m.Logical] = true
			}
		}
		if err := db.collect(ctx, victims); err != nil {
			return err
		}
	}
}

// collect rewrites victims into one new file, or drops them.
func (db *DB) collect(ctx context.Context, victims []*victim) error {
	start := time.Now()
	g := &collection{db: db, ctx: ctx, dead: make(map[base.FileNum]uint64), lists: make(map[base.FileNum][]uint32)}
	err := g.run(victims)
	if err != nil {
		return errors.Join(err, g.abort())
	}
	edit, err := g.edit(victims)
	if err != nil {
		return errors.Join(err, g.abort())
	}
	var before uint64
	for _, v := range victims {
		before += v.bytes
	}
	if err := db.apply(edit, nil, nil); err != nil {
		var uncertain *manifest.UncertainError
		if errors.As(err, &uncertain) {
			g.giveBack()
			return err // the MANIFEST sees to the new file
		}
		return errors.Join(err, g.abort())
	}
	g.distrust(victims)
	for _, file := range edit.VlogRemoved {
		db.retained.forget(file)
		db.dead.forget(file)
	}
	m := &db.metrics
	m.collections.Add(1)
	m.collectedBytes.Add(before)
	m.gcWritten.Add(g.info.Bytes)
	took := time.Since(start)
	db.opts.Logger.Info("collected value log", "files", len(victims), "bytes", before,
		"kept", g.info.Bytes, "took", took)
	db.events.post(GarbageCollected{Files: len(victims), Bytes: before, Kept: g.info.Bytes, Took: took})
	return nil
}

// collection is one run of garbage collection.
type collection struct {
	db   *DB
	ctx  context.Context
	out  *vlog.Rewriter // nil until a record is kept
	num  base.FileNum
	id   uint64
	info vlog.RewriteInfo
	dead map[base.FileNum]uint64 // bytes left out, by logical file

	lists map[base.FileNum][]uint32 // taken from DB.dead: what is dead, ascending

	state *readState
	seq   base.SeqNum
	count int
}

// liveBatch is how many records are judged by one read state. More would keep
// files of old versions around for longer.
const liveBatch = 1024

// run copies what is live. What the victims' accounts say is dead is on the
// lists by then, or the lists are gone: else it would be copied, and nobody
// would ever know again that it is garbage.
func (g *collection) run(victims []*victim) error {
	defer g.letGo()
	g.db.awaitInstalls()
	for _, v := range victims {
		if v.allExpired {
			continue
		}
		for _, m := range v.logicals {
			if offsets, ok := g.db.dead.take(m.Logical); ok {
				g.lists[m.Logical] = offsets
			}
		}
		_, err := vlog.ScanFile(g.db.fs, g.db.dir, v.physical, v.id, 0, v.end, g.record)
		if err != nil {
			if isCorruption(err) {
				g.db.leaveAlone(base.FileVlog, v.physical, err)
			}
			return err
		}
	}
	if g.out == nil {
		return nil
	}
	var err error
	if g.info, err = g.out.Finish(); err != nil {
		return err
	}
	g.out = nil
	return g.db.fs.SyncDir(g.db.dir)
}

// record keeps a record or leaves it out.
func (g *collection) record(rec vlog.Record) error {
	if g.count%liveBatch == 0 {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		g.letGo()
		if g.state, g.seq = g.db.acquire(); g.state == nil {
			return ErrClosed
		}
	}
	g.count++
	live, err := g.live(rec)
	if err != nil {
		return fmt.Errorf("collect value log: %w", err)
	}
	if !live {
		g.dead[rec.Pointer.File] += uint64(rec.Pointer.Size)
		return nil
	}
	if g.out == nil {
		g.num, g.id = g.db.set.NewFileNum(), g.db.rand.next()
		if g.out, err = vlog.NewRewriter(g.db.fs, g.db.dir, g.num, g.id); err != nil {
			return err
		}
	}
	return g.out.Add(rec)
}

// live reports whether the tree still points at a record.
func (g *collection) live(rec vlog.Record) (bool, error) {
	if dead, ok := g.lists[rec.Pointer.File]; ok {
		_, found := slices.BinarySearch(dead, rec.Pointer.Offset)
		return !found, nil
	}
	return g.db.refersTo(g.state, rec)
}

func (g *collection) letGo() {
	if g.state != nil {
		g.db.release(g.state)
		g.state = nil
	}
}

// distrust gives up lists that have led to less garbage than is known to be in
// their files. Else the files would be copied, with it, again and again.
func (g *collection) distrust(victims []*victim) {
	for _, v := range victims {
		for _, m := range v.logicals {
			if _, ok := g.lists[m.Logical]; ok && g.dead[m.Logical] < m.Discarded {
				g.db.dead.forget(m.Logical)
			}
		}
	}
}

// giveBack returns the lists of what is dead.
func (g *collection) giveBack() {
	for file, offsets := range g.lists {
		g.db.dead.giveBack(file, offsets)
	}
}

// abort removes what was written.
func (g *collection) abort() error {
	g.giveBack()
	if g.out != nil {
		return g.out.Abort()
	}
	return g.remove()
}

// remove removes the finished file.
func (g *collection) remove() error {
	if g.info.Size == 0 {
		return nil
	}
	return g.db.removeFile(base.FileVlog, g.num)
}

// edit tells the MANIFEST where the records are. Whatever garbage was on the
// books when a file was picked is off them now, even if less was found: what
// remains of an overstatement would have the file picked again and again.
func (g *collection) edit(victims []*victim) (*manifest.Edit, error) {
	edit := &manifest.Edit{}
	kept := make(map[base.FileNum]vlog.LogicalInfo)
	for _, l := range g.info.Logicals {
		kept[l.Logical] = l
	}
	var horizon uint64
	for _, v := range victims {
		for _, m := range v.logicals {
			l, any := kept[m.Logical]
			if !any {
				edit.VlogRemoved = append(edit.VlogRemoved, m.Logical)
				if v.allExpired {
					horizon = max(horizon, m.ExpiryMax)
				}
				continue
			}
			edit.VlogMoved = append(edit.VlogMoved, manifest.VlogMove{
				Logical: m.Logical, From: m.Physical, To: g.num, ToID: g.id,
				Bytes: l.LiveBytes, DeadBytes: max(g.dead[m.Logical], m.Discarded),
				ExpiryMin: l.ExpiryMin, ExpiryMax: l.ExpiryMax, AllExpire: l.AllExpire,
			})
		}
	}
	if horizon > 0 {
		edit.ExpiryHorizon = &horizon
	}
	return edit, nil
}

// refersTo reports whether the tree holds the entry that a record belongs to.
func (db *DB) refersTo(s *readState, rec vlog.Record) (bool, error) {
	v := s.view(rec.Keyspace)
	if v == nil {
		return false, nil // dropped: who still reads it has an older version
	}
	var l lookup
	r := reader{db: db, s: s, v: v, seq: rec.Seq}
	found, err := r.findVersion(0, rec.Key, &l)
	if err != nil || !found {
		return false, err
	}
	defer l.release()
	if l.trailer.SeqNum() != rec.Seq {
		return false, nil
	}
	ptr, ok, err := pointerOf(base.InternalKey{User: rec.Key, Trailer: l.trailer}, l.payload)
	if err != nil || !ok {
		return false, err
	}
	return ptr.File == rec.Pointer.File && ptr.Offset == rec.Pointer.Offset, nil
}
