//go:build planted

package main

var durability = []mutation{
	{"wal-sync-dropped", "1", "The WAL is said to be durable without an fsync.",
		"wal/sync.go",
		`for _, s := range l.scratch {`,
		`for _, s := range l.scratch {
		if PLANTED {
			continue
		}`, "test/crash"},
	{"failed-wal-sync-tried-again", "1", "An fsync of the WAL that failed is repeated, and what the second one says is believed.",
		"wal/sync.go",
		`		if err := s.f.Sync(); err != nil {`,
		`		err := s.f.Sync()
		if err != nil && PLANTED {
			err = s.f.Sync()
		}
		if err != nil {`, "wal test/fault"},
	{"log-opened-after-it-failed", "1", "A commit that waits for a log repeats the opening of it that has failed, syncs included.",
		"db/writer.go",
		`	if f := db.failure.Load(); f != nil {
		return f.err
	}
	return db.logFailure(db.createWAL())`,
		`	if f := db.failure.Load(); f != nil && !PLANTED {
		return f.err
	}
	return db.logFailure(db.createWAL())`, "test/fault:WaitsForALog"},
	{"acknowledged-before-sync", "1", "A commit with Sync returns before the sync.",
		"internal/commit/settle.go",
		`	if sync {`,
		`	if sync && !PLANTED {`, ""},
	{"sync-of-followers-forgotten", "1", "Of a group of commits, only the leader's wish for a sync counts.",
		"internal/commit/write.go",
		`sync = sync || q.Sync`,
		`sync = sync || q.Sync && !(PLANTED && q != self)`, ""},
	{"followers-told-of-success", "3", "When the sync of a group fails, only the leader is told.",
		"internal/commit/write.go",
		`	for _, q := range group {
		q.err = err`,
		`	for _, q := range group {
		if q.err = err; PLANTED && q != self {
			q.err = nil
		}`, ""},
	{"wal-directory-not-synced", "1", "The directory is not synced after a WAL segment was made.",
		"wal/segment.go",
		`		err = opts.FS.SyncDir(opts.Dir)`,
		`		if !PLANTED {
			err = opts.FS.SyncDir(opts.Dir)
		}`, "wal test/crash"},
	{"values-not-synced-with-the-log", "1", "A sync leaves out the value log.",
		"db/logs.go",
		`len(files) > 0 {
		wg.Go`,
		`len(files) > 0 && !PLANTED {
		wg.Go`, "test/crash"},
	{"value-file-directory-not-synced", "1", "The directory is not synced after a value-log file was made.",
		"vlog/appender.go",
		`		err = fsys.SyncDir(dir)`,
		`		if !PLANTED {
			err = fsys.SyncDir(dir)
		}`, ""},
	{"flush-before-its-values", "2", "Tables point into the value log before that is synced.",
		"db/flush.go",
		`	if err := db.syncValues(); err != nil {`,
		`	if PLANTED {
	} else if err := db.syncValues(); err != nil {`, "test/crash"},
	{"log-before-its-values", "2", "The WAL names values that are written after it.",
		"db/writer.go",
		`	if separated {
		if err := db.active.flushValues(); err != nil {
			return err
		}
	}
	_, err := db.active.wal.Append(w.buf)`,
		`	if separated && !PLANTED {
		if err := db.active.flushValues(); err != nil {
			return err
		}
	}
	_, err := db.active.wal.Append(w.buf)
	if err == nil && separated && PLANTED {
		err = db.active.flushValues()
	}`, "test/fault"},
	{"table-not-synced", "1", "A table is named by the MANIFEST without having been synced.",
		"sstable/output.go",
		`	if err := o.f.Sync(); err != nil {`,
		`	if PLANTED {
	} else if err := o.f.Sync(); err != nil {`, ""},
	{"table-directory-not-synced", "1", "The directory is not synced after tables were made.",
		"compaction/outputs.go",
		`	if err := o.env.FS.SyncDir(o.env.Dir); err != nil {`,
		`	if PLANTED {
	} else if err := o.env.FS.SyncDir(o.env.Dir); err != nil {`, ""},
	{"rewritten-values-not-synced", "1", "Garbage collection removes the old file before the copies are durable.",
		"vlog/rewrite.go",
		`	if err := w.a.f.Sync(); err != nil {`,
		`	if PLANTED {
	} else if err := w.a.f.Sync(); err != nil {`, ""},
	{"rename-not-synced", "1", "CURRENT is replaced, and the directory not synced.",
		"vfs/vfs.go",
		`	return fs.SyncDir(filepath.Dir(path))`,
		`	if PLANTED {
		return nil
	}
	return fs.SyncDir(filepath.Dir(path))`, "vfs manifest test/crash"},
	{"temporary-file-not-synced", "1", "CURRENT's new contents are renamed into place before they are durable.",
		"vfs/vfs.go",
		`		err = f.Sync()`,
		`		if !PLANTED {
			err = f.Sync()
		}`, "vfs manifest test/crash"},
	{"background-sync-off", "1", "Commits without Sync are never flushed to the disk by themselves.",
		"db/background.go",
		`		if err := db.syncLogs(); err != nil {`,
		`		if PLANTED {
			continue
		}
		if err := db.syncLogs(); err != nil {`, "db:BecomeDurable"},
	{"checkpoint-path-not-synced", "1", "A checkpoint's folder may be gone after a power loss.",
		"db/checkpoint.go",
		`, syncPath(c.db.fs, c.dir))`,
		`, func() error {
		if PLANTED {
			return nil
		}
		return syncPath(c.db.fs, c.dir)
	}())`, "db:Checkpoint test/crash"},
	{"sequence-lease-not-durable", "1", "Numbers of a sequence are given out before their lease is durable.",
		"db/sequence.go",
		`	err := s.change(Sync, func(`,
		`	d := Sync
	if PLANTED {
		d = NoSync
	}
	err := s.change(d, func(`, "db:Sequence|NoNumber|Lease"},
	{"sequence-leases-overlap", "2", "The last number of a lease is the first of the next.",
		"db/sequence.go",
		`		return end, true, nil`,
		`		if PLANTED {
			return end - 1, true, nil
		}
		return end, true, nil`, "db:Sequence|NoNumber"},
}
