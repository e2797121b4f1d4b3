package db

// cacheFit is what the block cache was last fitted to: how much of
// Options.MemoryMax filters and indexes take, in steps.
type cacheFit struct{ steps int64 }

// cacheSteps is in how many steps MemoryMax is shared out. They are coarse
// because a cache that shrinks forgets which of its blocks are in use.
const cacheSteps = 16

// fit takes in what filters and indexes hold now. changed says that the cache
// is to be resized, to make room for pinned bytes.
func (f *cacheFit) fit(held, memoryMax int64) (pinned int64, changed bool) {
	step := max(memoryMax/cacheSteps, 1)
	steps := (held + step - 1) / step
	if held*cacheSteps < memoryMax/2 {
		steps = 0 // so little that it need not disturb the cache
	}
	if steps <= f.steps && steps+1 >= f.steps {
		return 0, false // a step less is not worth the change
	}
	f.steps = steps
	return steps * step, true
}

// fitCache leaves to the block cache what filters and indexes, whose number
// goes with that of the tables in use, do not take of MemoryMax.
func (db *DB) fitCache(f *cacheFit) {
	held := db.tables.PinnedBytes() + db.values.PinnedBytes()
	if pinned, changed := f.fit(held, db.opts.MemoryMax); changed {
		db.cache.Resize(db.opts.cacheBytes(pinned))
	}
}
