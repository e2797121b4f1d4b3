package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

// Checkpoint makes dir, which must not exist or be empty, a store of its own
// that holds everything committed before the call. Files are linked where the
// file system can do that, so that it costs little time and space; they are
// copied elsewhere. The checkpoint appears whole or, after a failure, not at
// all: what was there by then is removed. Writers go on meanwhile.
func (db *DB) Checkpoint(ctx context.Context, dir string) error {
	return db.during(ctx, func(ctx context.Context) error { return db.checkpoint(ctx, dir) })
}

// checkpoint is Checkpoint.
func (db *DB) checkpoint(ctx context.Context, dir string) error {
	if err := db.writable(); err != nil {
		return err
	}
	existed, err := db.checkEmpty(dir)
	if err != nil {
		return err
	}
	version, err := db.settledVersion(ctx)
	if err != nil {
		return err
	}
	defer func() {
		version.Unref()
		db.wakeCleaner()
	}()
	if err := db.fs.MkdirAll(dir); err != nil {
		return err
	}
	c := &checkpoint{db: db, dir: dir}
	if err := c.write(ctx, version); err != nil {
		return errors.Join(fmt.Errorf("checkpoint %s: %w", dir, err), c.undo(existed))
	}
	return nil
}

// checkEmpty reports whether dir exists; it is an error if anything is in it.
func (db *DB) checkEmpty(dir string) (exists bool, err error) {
	files, err := db.fs.List(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case len(files) > 0:
		return true, fmt.Errorf("checkpoint %s: %w", dir, fs.ErrExist)
	}
	return true, nil
}

// settledVersion is a version that holds every commit so far in sealed files.
func (db *DB) settledVersion(ctx context.Context) (*manifest.Version, error) {
	err := db.pipeline.Exclusive(func() error {
		db.retireValues(0)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := db.flushAll(ctx); err != nil {
		return nil, err
	}
	// The flush may have appended to a newer value-log file, which is why a
	// file that is not sealed is copied up to where it is durable.
	if err := db.tendSeals(); err != nil {
		return nil, err
	}
	return db.set.Current(), nil
}

// checkpoint is one on its way.
type checkpoint struct {
	db  *DB
	dir string
}

// write puts the files of version in place, then names them.
func (c *checkpoint) write(ctx context.Context, version *manifest.Version) error {
	for _, t := range version.Tables() {
		if err := c.place(ctx, base.FileTable, t.Num, -1); err != nil {
			return err
		}
	}
	edit, err := c.edit(ctx, version)
	if err != nil {
		return err
	}
	if err := c.db.fs.SyncDir(c.dir); err != nil {
		return err
	}
	set, err := manifest.Create(manifest.Options{FS: c.db.fs, Dir: c.dir, NewID: c.db.rand.next, Initial: edit})
	if err != nil {
		return err
	}
	return errors.Join(set.Close(), c.db.fs.SyncDir(c.dir), syncPath(c.db.fs, c.dir))
}

// edit describes version as the first edit of a new store, and puts the
// value-log files in place.
func (c *checkpoint) edit(ctx context.Context, version *manifest.Version) (*manifest.Edit, error) {
	edit := &manifest.Edit{ExpiryHorizon: &version.ExpiryHorizon}
	edit.AddKeyspaces(version.Trees, c.db.set.NextKeyspace())
	for level, t := range version.Tables() {
		edit.Added = append(edit.Added, manifest.AddedTable{Level: level, Meta: t})
	}
	placed := make(map[base.FileNum]bool)
	for _, meta := range version.Vlogs {
		m := *meta
		limit := int64(-1)
		if !m.Sealed {
			// It goes on growing here, and must not there.
			limit = int64(m.SyncedTo)
			m.Sealed, m.Bytes = true, m.SyncedTo
			if limit == 0 {
				continue // nothing points into it
			}
		}
		edit.VlogAdded = append(edit.VlogAdded, m)
		if placed[m.Physical] {
			continue
		}
		placed[m.Physical] = true
		if err := c.place(ctx, base.FileVlog, m.Physical, limit); err != nil {
			return nil, err
		}
	}
	seq := c.db.set.LastSeq()
	edit.LastSeq = &seq
	return edit, nil
}

// place links a file into the checkpoint, or copies it where that is not
// possible or not all of it is wanted.
func (c *checkpoint) place(ctx context.Context, kind base.FileKind, num base.FileNum, limit int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := base.FileName(kind, uint64(num))
	from, to := filepath.Join(c.db.dir, name), filepath.Join(c.dir, name)
	if limit < 0 {
		err := c.db.fs.Link(from, to)
		if err == nil || errors.Is(err, fs.ErrNotExist) || vfs.IsNoSpace(err) {
			return err
		}
	}
	return copyFile(ctx, c.db.fs, from, to, limit)
}

// undo removes what a failed checkpoint has left.
func (c *checkpoint) undo(keepDir bool) error {
	files, err := c.db.fs.List(c.dir)
	errs := []error{err}
	for _, f := range files {
		errs = append(errs, c.db.fs.Remove(filepath.Join(c.dir, f.Name)))
	}
	if !keepDir {
		errs = append(errs, c.db.fs.Remove(c.dir))
	}
	return errors.Join(errs...)
}

// copyFile copies the first limit bytes of a file, all of them if limit is
// negative, and makes the copy durable.
func copyFile(ctx context.Context, fsys vfs.FS, from, to string, limit int64) (err error) {
	src, err := fsys.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if limit < 0 {
		if limit, err = src.Size(); err != nil {
			return err
		}
	}
	dst, err := fsys.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	buf := make([]byte, min(limit, mib))
	for off := int64(0); off < limit; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.ReadAt(buf[:min(int64(len(buf)), limit-off)], off)
		if n == 0 && err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if _, err := dst.WriteAt(buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return dst.Sync()
}
