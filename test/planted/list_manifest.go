//go:build planted

package main

var manifestBugs = []mutation{
	{"edit-not-synced", "1", "Files are removed, and commits acknowledged, on the word of an edit that is not durable.",
		"manifest/log.go",
		`		err = l.file.Sync()`,
		`		if !PLANTED {
			err = l.file.Sync()
		}`, ""},
	{"edit-error-ignored", "2", "An edit that could not be written takes effect.",
		"manifest/apply.go",
		`	if err := s.persist(edit, ch, next); err != nil {`,
		`	if err := s.persist(edit, ch, next); err != nil && !PLANTED {`, ""},
	{"new-manifest-not-synced", "1", "CURRENT names a MANIFEST before that is durable.",
		"manifest/log.go",
		`	if err == nil {
		err = f.Sync()`,
		`	if err == nil && !PLANTED {
		err = f.Sync()`, ""},
	{"new-manifest-directory-not-synced", "1", "CURRENT may be durable before the entry of the MANIFEST that it names.",
		"manifest/log.go",
		`		err = s.opts.FS.SyncDir(s.opts.Dir)`,
		`		if !PLANTED {
			err = s.opts.FS.SyncDir(s.opts.Dir)
		}`, ""},
	{"hole-is-the-end", "5", "A damaged record in the middle of the MANIFEST is taken for its end.",
		"manifest/load.go",
		`	if tail.MaxSynced > tail.EndLSN {`,
		`	if tail.MaxSynced > tail.EndLSN && !PLANTED {`, ""},
	{"edit-not-proven", "5", "Nothing proves that the last edit was durable: damage to it is cut.",
		"manifest/log.go",
		`	if _, err := s.log.w.Append(synced, recordProof); err != nil {`,
		`	if PLANTED {
		return
	}
	if _, err := s.log.w.Append(synced, recordProof); err != nil {`, ""},
	{"failed-manifest-sync-forgiven", "1", "After a failed fsync of the MANIFEST, edits go on.",
		"manifest/log.go",
		`	if !vfs.IsNoSpace(err) && s.broken == nil {`,
		`	if !vfs.IsNoSpace(err) && s.broken == nil && !PLANTED {`, ""},
	{"missing-table-tolerated", "7", "A store opens though files are missing.",
		"manifest/load.go",
		`	if opts.CheckFiles {`,
		`	if opts.CheckFiles && !PLANTED {`, ""},
	{"empty-beside-data", "7", "Without CURRENT, a new store begins beside the files of the old one.",
		"manifest/exists.go",
		`		case base.FileTable, base.FileWAL, base.FileVlog:
			ours = true`,
		`		case base.FileTable, base.FileWAL, base.FileVlog:
			ours = !PLANTED`, ""},
	{"manifest-of-another-time", "6", "A MANIFEST need not be the one that CURRENT names.",
		"manifest/load.go",
		`	if h.ID != m.id ||`,
		`	if h.ID != m.id && !PLANTED ||`, "manifest:OfAnotherStore"},
	{"file-number-reused", "2", "A reopened store forgets which file numbers it has given out.",
		"manifest/load.go",
		`	s.nextFile.Store(uint64(max(s.catalog.nextFile, nextFileAbove(infos))))`,
		`	s.nextFile.Store(uint64(max(s.catalog.nextFile, nextFileAbove(infos))))
	if PLANTED {
		s.nextFile.Store(uint64(nextFileAbove(infos)))
	}`, ""},
	{"file-removed-under-readers", "4", "A file goes as soon as the newest version does without it.",
		"manifest/files.go",
		`		newest.zombies = append(newest.zombies, zombie{f, life.born})`,
		`		if PLANTED {
			l.obsolete = append(l.obsolete, f)
			continue
		}
		newest.zombies = append(newest.zombies, zombie{f, life.born})`, ""},
	{"files-never-removed", "8", "Files that nobody needs are never removed while the store is open.",
		"manifest/files.go",
		`			l.obsolete = append(l.obsolete, z.file)`,
		`			if !PLANTED {
				l.obsolete = append(l.obsolete, z.file)
			}`, ""},
	{"level-zero-oldest-first", "2", "Reads ask the tables of level 0 from the oldest on.",
		"manifest/patch.go",
		`			return cmp.Or(cmp.Compare(b.SeqMax, a.SeqMax), cmp.Compare(b.Num, a.Num))`,
		`			if PLANTED {
				a, b = b, a
			}
			return cmp.Or(cmp.Compare(b.SeqMax, a.SeqMax), cmp.Compare(b.Num, a.Num))`, ""},
	{"newer-format-opened", "11", "A store of a newer format is opened.",
		"manifest/current.go",
		`	if version > FormatVersion {`,
		`	if version > FormatVersion && !PLANTED {`, ""},
	{"unknown-field-skipped", "11", "A field of an edit that must be understood, and is not, is skipped.",
		"manifest/edit_decode.go",
		`			if tag&tagOptional == 0 {
				return nil, &FieldError{tag}`,
		`			if tag&tagOptional == 0 && !PLANTED {
				return nil, &FieldError{tag}`, ""},
	{"unreadable-edit-written", "9", "The MANIFEST takes an edit that the next open cannot read.",
		"manifest/log.go",
		`	if _, err := DecodeEdit(payload); err != nil {`,
		`	if _, err := DecodeEdit(payload); err != nil && !PLANTED {`, "manifest:Edit"},
}
