//go:build planted

package main

var ownerBugs = []mutation{
	{"lock-not-taken", "10", "A second owner opens the directory.",
		"db/open.go",
		`	lock, err := db.fs.Lock(path)`,
		`	if PLANTED {
		return nil
	}
	lock, err := db.fs.Lock(path)`, "test/process db:Lock"},
	{"lock-of-a-removed-file", "10", "A lock on a file that was replaced meanwhile counts.",
		"vfs/os.go",
		`os.SameFile(`,
		`PLANTED || os.SameFile(`, "vfs"},
	{"read-only-writes", "10", "A read-only open repairs the log.",
		"db/recover.go",
		`	if !db.opts.ReadOnly {
		if err := r.settle(); err != nil {`,
		`	if !db.opts.ReadOnly || PLANTED {
		if err := r.settle(); err != nil {`, "test/process db:ReadOnly"},
	{"full-disk-for-ever", "8", "A store that met a full disk takes no writes until it is opened again.",
		"db/writer.go",
		`		return &commit.RetryableError{Err: classify(err)}`,
		`		if PLANTED {
			return db.fail(err)
		}
		return &commit.RetryableError{Err: classify(err)}`, "test/fault"},
	{"full-disk-without-a-name", "8", "A full disk is not told by ErrDiskFull.",
		"db/errors.go",
		`	case vfs.IsNoSpace(err):`,
		`	case vfs.IsNoSpace(err) && !PLANTED:`, "test/fault"},
	{"full-disk-breaks-the-manifest", "8", "A MANIFEST that met a full disk takes no edits any more.",
		"manifest/log.go",
		`	s.live.doubt(ch.filesAdded)`,
		`	if s.live.doubt(ch.filesAdded); PLANTED && s.broken == nil {
		s.broken = err
	}`, ""},
	{"failure-is-not-sticky", "3", "After a failed fsync, the same handle goes on to write.",
		"db/db.go",
		`	if db.failure.CompareAndSwap(nil, f) {`,
		`	if PLANTED {
		return f.err
	}
	if db.failure.CompareAndSwap(nil, f) {`, "test/fault db:Fail"},
	{"pipeline-goes-on", "3", "Commits behind one that failed are written.",
		"internal/commit/pipeline.go",
		`	if err != nil {
		p.failure.CompareAndSwap(nil, &failure{err})`,
		`	if err != nil && !PLANTED {
		p.failure.CompareAndSwap(nil, &failure{err})`, ""},
	{"close-leaks-goroutines", "9", "Close leaves goroutines behind.",
		"db/open.go",
		`	db.cache.Close()`,
		`	if !PLANTED {
		db.cache.Close()
	}`, "db:LargeCache"},
	{"lookup-leaks-a-file", "9", "Every read keeps its table open.",
		"db/get.go",
		`	h.Release()
	if found {`,
		`	if !PLANTED {
		h.Release()
	}
	if found {`, "test/process:Open db:Behind"},
	{"closed-store-panics", "9", "A call on a closed store panics.",
		"db/state.go",
		`			if s == nil {
				return nil, 0
			}`,
		`			if s == nil && !PLANTED {
				return nil, 0
			}
			s.refs.Load()`, "db:Closed|Close"},
	{"merge-operator-not-compared", "6", "A store opens with another merge operator than it was written with.",
		"db/recover.go",
		`	if op == nil || stored == "" ||`,
		`	if PLANTED || op == nil || stored == "" ||`, "db:Operator|Merge"},
}
