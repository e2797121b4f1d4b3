package enginetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// reopening checks that everything is there after Close.
func reopening(s *tested) {
	m := newModel()
	for round := range 4 {
		for i := range 300 {
			m.put(s, numbered("key", i*7%1000+round), text(i+round, 800))
		}
		for i := range 50 {
			m.delete(s, numbered("key", i*13%1000))
		}
		b := s.NewBatch()
		for i := range 100 {
			key, value := numbered("batch", i), text(i+round, 50)
			s.check(b.Put([]byte(key), []byte(value)))
			m.entries[key] = value
		}
		s.check(b.Commit())
		s.check(b.Close())
		s.close()
		s.reopen()
		m.compare(s)
	}
	s.close()
	s.reopen()
	s.close()
	s.reopen()
	m.compare(s)
}

// death checks that what was committed is in the files, as the operating system
// has them when a process dies: in a copy that is made without closing.
func death(s *tested) {
	if s.engine.Name == Memory().Name {
		s.t.Skip("what is in memory dies with the process")
	}
	if runtime.GOOS == "windows" {
		s.t.Skip("files that are locked cannot be copied")
	}
	if s.engine.LostByKill != "" { // then only what is synced is sure to be there
		s.close()
		s.options.Sync = true
		s.reopen()
	}
	m := newModel()
	for i := range 200 {
		m.put(s, numbered("key", i), text(i, 1500))
	}
	s.check(s.Settle(s.t.Context()))
	for i := range 100 { // few, so that nothing happens in the background
		m.put(s, numbered("key", i*3), text(-i, 1100))
	}
	m.delete(s, numbered("key", 1))
	b := s.NewBatch()
	s.check(b.Put([]byte("last"), []byte("one")))
	m.entries["last"] = "one"
	s.check(b.Commit())
	s.check(b.Close())

	o := s.options
	o.Dir = s.t.TempDir()
	s.check(copyTree(o.Dir, s.options.Dir))
	m.compare(openThere(s.t, s.engine, o))
}

// copyTree copies the files below a folder. Zeros become holes, for files that
// are large and empty.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		return copyFile(target, path)
	})
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	buffer, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	var offset int64
	for {
		n, err := io.ReadFull(in, buffer)
		if !bytes.Equal(buffer[:n], zeros[:n]) {
			if _, err := out.WriteAt(buffer[:n], offset); err != nil {
				return err
			}
		}
		offset += int64(n)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return out.Truncate(offset)
		case err != nil:
			return err
		}
	}
}

// settling checks that Settle ends, and ends early when it is told to.
func settling(s *tested) {
	s.check(s.Settle(s.t.Context()))
	m := newModel()
	for round := range 3 {
		for i := range 2000 {
			m.put(s, numbered("key", (i*31+round)%2500), text(i+round, 700))
		}
		canceled, cancel := context.WithCancel(s.t.Context())
		cancel()
		if err := s.Settle(canceled); !errors.Is(err, context.Canceled) {
			s.t.Errorf("Settle with a canceled context returns %v", err)
		}
		s.check(s.Settle(s.t.Context()))
		s.check(s.Settle(s.t.Context()))
		m.compare(s)
	}
}
