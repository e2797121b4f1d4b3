package db

import (
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// victim is a physical value-log file to collect, with the logical files in it.
type victim struct {
	physical         base.FileNum
	id               uint64
	logicals         []*manifest.VlogMeta
	bytes, discarded uint64
	end              int64 // of its records
	allExpired       bool
}

func (v *victim) ratio() float64 { return float64(v.discarded) / float64(max(v.bytes, 1)) }

// live is how many bytes of it a copy would hold.
func (v *victim) live() uint64 { return v.bytes - min(v.discarded, v.bytes) }

// physicalFiles groups the sealed logical files of a version by the physical
// file that they are in.
func physicalFiles(v *manifest.Version, now uint64) []*victim {
	files := make(map[base.FileNum]*victim)
	var order []*victim
	for _, m := range v.Vlogs {
		f := files[m.Physical]
		if f == nil {
			f = &victim{physical: m.Physical, id: m.PhysicalID, allExpired: true}
			files[m.Physical] = f
			order = append(order, f)
		}
		if !m.Sealed {
			f.bytes, f.discarded, f.allExpired = 0, 0, false
		}
		f.logicals = append(f.logicals, m)
		f.bytes += m.Bytes
		f.discarded += m.Discarded
		if !m.Rewritten {
			f.end = int64(m.SyncedTo)
		}
		f.allExpired = f.allExpired && m.AllExpire && m.ExpiryMax <= now
	}
	return slices.DeleteFunc(order, func(f *victim) bool {
		return slices.ContainsFunc(f.logicals, func(m *manifest.VlogMeta) bool { return !m.Sealed })
	})
}

// pickVictims chooses files whose share of garbage is at least ratio, the worst
// first, as many as make one new file. skip names logical files.
func (db *DB) pickVictims(ratio float64, skip map[base.FileNum]bool) []*victim {
	version := db.set.Current()
	defer version.Unref()
	files := physicalFiles(version, db.now(version))
	db.mu.Lock()
	defer db.mu.Unlock()
	files = slices.DeleteFunc(files, func(f *victim) bool {
		if skip[f.logicals[0].Logical] || db.damagedLocked(base.FileVlog, f.physical) || db.retained.holds(f.logicals) {
			return true
		}
		gone := f.discarded >= f.bytes || f.allExpired
		return !gone && (f.ratio() < ratio || f.discarded == 0)
	})
	slices.SortFunc(files, func(a, b *victim) int {
		switch {
		case a.ratio() > b.ratio():
			return -1
		case a.ratio() < b.ratio():
			return 1
		}
		return 0
	})
	var live uint64
	limit := uint64(db.valueFileBytes())
	for i, f := range files {
		if live += f.live(); i > 0 && live > limit {
			return files[:i]
		}
	}
	return files
}
