package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// copyTree copies a folder that nobody changes meanwhile. Holes stay holes: some
// engines make files far larger than what is in them.
func copyTree(ctx context.Context, to, from string) error {
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		path, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		path = filepath.Join(to, path)
		if entry.IsDir() {
			return os.MkdirAll(path, 0o777)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		return copyFile(path, name)
	})
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for at := int64(0); at < info.Size(); {
		start, end, err := nextData(in, at, info.Size())
		if err != nil {
			return err
		}
		_, err = io.Copy(io.NewOffsetWriter(out, start), io.NewSectionReader(in, start, end-start))
		if err != nil {
			return err
		}
		at = end
	}
	return out.Truncate(info.Size())
}
