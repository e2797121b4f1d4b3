package db

import (
	"cmp"
	"math"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// space is what the store knows of its value log. All of it is an estimate for
// pacing; nothing that has to be right depends on it.
type space struct {
	bytes     atomic.Int64  // records in sealed files
	discarded atomic.Int64  // of them known to be garbage
	counter   atomic.Uint64 // values for the value log
	share     atomic.Uint64 // float64 bits: how many of them replace another
	mean      atomic.Uint64 // float64 bits: bytes of a record, for each entry of tables
}

// Bounds of a value-log file's size. Small stores have small files, so that
// one file is a small part of the whole; large ones have fewer files.
const (
	valueFileShare    = 32
	valueFileBytesMax = 256 * mib
	valueFileBytesMin = 4 * mib
)

// valueFileBytes is the size at which a value-log file is replaced.
func (db *DB) valueFileBytes() int64 {
	least := min(valueFileBytesMin, max(db.opts.MemtableBytes/2, 4*kib))
	return min(max(db.liveValueBytes()/valueFileShare, least), valueFileBytesMax)
}

// liveValueBytes estimates the live bytes of the value log.
func (db *DB) liveValueBytes() int64 {
	return max(db.space.bytes.Load()-db.space.discarded.Load(), 0)
}

// hiddenShare is how much of the live bytes may be garbage that is not known
// yet because a memtable hides it. compaction.PickOptions.SpaceSlack is the same
// for the upper levels.
const (
	hiddenShare = 0.03
	upperShare  = 0.05
)

// sampleInterval is one in how many values for the value log is looked up
// before it is written, to learn how many of them replace another. An estimate
// that came from compactions would be late by just the garbage that it is
// needed for.
const sampleInterval = 64

// sampleWeight is the weight of one sample in the average.
const sampleWeight = 1.0 / 64

// sampleReplaced looks up some of the keys of large values in b.
func (db *DB) sampleReplaced(b *Batch) {
	n := uint64(len(b.large))
	old := db.space.counter.Add(n) - n
	for i := (sampleInterval - old%sampleInterval) % sampleInterval; i < n; i += sampleInterval {
		if l := &b.large[i]; len(l.value) >= l.threshold(db.main) {
			cmp.Or(l.ks, db.main).sampleKey(l.key)
		}
	}
}

// sampleKey looks a key up and takes what it finds into the average.
func (ks *Keyspace) sampleKey(key []byte) {
	r, err := ks.reader()
	if err != nil {
		return
	}
	defer r.release()
	var l lookup
	found, err := r.findVersion(0, key, &l)
	if err != nil {
		return // reads report it
	}
	sample := 0.0
	if found {
		if l.trailer.Kind().Op() == base.KindSetPointer {
			sample = 1
		}
		l.release()
	}
	share := &ks.db.space.share
	old := math.Float64frombits(share.Load())
	share.Store(math.Float64bits(old + (sample-old)*sampleWeight))
}

// replacedShare is the share of values written to the value log that replace
// another one.
func (db *DB) replacedShare() float64 {
	s := math.Float64frombits(db.space.share.Load())
	return min(max(s, 0.05), 1)
}

// hidesGarbage reports whether gen may hide so much garbage of the value log,
// under overwrites and deletions that nobody has merged yet, that it should be
// flushed before it is full.
func (db *DB) hidesGarbage(gen *generation) bool {
	limit := max(float64(db.valueFileBytes()), hiddenShare*float64(db.liveValueBytes())/db.replacedShare())
	if float64(gen.VlogBytes()) >= limit {
		return true
	}
	deletes := float64(gen.Deletes())
	return deletes > 0 && deletes*db.meanRecordBytes() >= max(limit, 2*float64(db.valueFileBytes()))
}

// levelZeroHides returns the tree whose level 0 hides the most garbage, under
// overwrites and deletions, if all of them together hide so much that it should
// be merged before there are enough tables in it. Else it returns nil. skip says
// which keyspaces shall not be returned.
func (db *DB) levelZeroHides(s *readState, skip func(num uint32) bool) *treeView {
	var sum, most float64
	var worst *treeView
	for i := range s.views {
		v := &s.views[i]
		hidden := db.hiddenInLevelZero(v.tree)
		sum += hidden
		if hidden > most && !skip(v.num) {
			most, worst = hidden, v
		}
	}
	if sum < max(float64(db.valueFileBytes()), upperShare*float64(db.liveValueBytes())) {
		return nil
	}
	return worst
}

// hiddenInLevelZero estimates the garbage that a tree's level 0 hides.
func (db *DB) hiddenInLevelZero(tree *manifest.Tree) float64 {
	var values, largest, deletes uint64
	for _, t := range tree.Levels[0] {
		values += t.VlogBytes
		largest = max(largest, t.VlogBytes)
		deletes += t.Deletes
	}
	hidden := float64(values-largest) * db.replacedShare()
	if deletes > 0 {
		hidden += float64(deletes) * db.meanRecordBytes()
	}
	return hidden
}

// meanRecordBytes estimates the length of a value-log record.
func (db *DB) meanRecordBytes() float64 { return math.Float64frombits(db.space.mean.Load()) }

// countRecords brings meanRecordBytes up to date.
func (sp *space) countRecords(v *manifest.Version) {
	var entries, bytes uint64
	for _, t := range v.Tables() {
		entries += t.Entries
		bytes += t.VlogBytes
	}
	sp.mean.Store(math.Float64bits(float64(bytes) / float64(max(entries, 1))))
}

// updateSpaceLocked recounts the value log of a version. The caller holds mu.
func (db *DB) updateSpaceLocked(v *manifest.Version) {
	db.space.countRecords(v)
	var bytes, discarded uint64
	var worst float64
	dead := false
	for _, f := range physicalFiles(v, db.now(v)) {
		if db.retained.holds(f.logicals) {
			bytes += f.live() // nothing can be done about its garbage
			continue
		}
		bytes += f.bytes
		discarded += min(f.discarded, f.bytes)
		if db.damagedLocked(base.FileVlog, f.physical) {
			continue
		}
		if f.discarded > 0 {
			worst = max(worst, f.ratio())
		}
		dead = dead || f.discarded >= f.bytes || f.allExpired
	}
	db.space.bytes.Store(int64(bytes))
	db.space.discarded.Store(int64(discarded))
	live := max(float64(bytes)-float64(discarded), 1)
	over := float64(bytes)/live > db.gcStart()
	db.jobs.gcWanted = dead || over && worst >= gcRatioMin
}

// gcStart is the ratio of known bytes to live bytes from which collection
// runs: below SpaceAmpMax, to leave room for garbage that is not known yet.
func (db *DB) gcStart() float64 { return 1 + (db.opts.SpaceAmpMax-1)*0.45 }

// spareFiles is how many value-log files of garbage do not count.
const spareFiles = 1

// amplification estimates the bytes in the value log for each live one, hidden
// garbage included, a few files apart.
func (db *DB) amplification(s *readState) float64 {
	bytes, discarded := float64(db.space.bytes.Load()), float64(db.space.discarded.Load())
	var upper uint64
	for _, g := range s.gens {
		upper += g.VlogBytes()
	}
	for i := range s.views {
		var last uint64
		tree := s.views[i].tree
		for level := range tree.Levels {
			if n := tree.LevelWeight(level) - tree.LevelBytes(level); n > 0 {
				upper += last
				last = n
			}
		}
	}
	hidden := float64(upper) * db.replacedShare()
	live := max(bytes-discarded-hidden, 1)
	// Space comes and goes in files: a few of them are nothing to wait for,
	// however small the store is.
	garbage := max(discarded+hidden-spareFiles*float64(db.valueFileBytes()), 0)
	return (live + garbage) / live
}
