package damage

import (
	"bytes"
	"encoding/gob"
	"errors"
	"os"
)

// What stores hold follows from how they are built, but which of their files
// gets which number, and what is merged when, is up to the scheduler. So a run
// with a failure saves the files of its stores, for the case to be repeated.

// saved is the files of a store.
type saved struct {
	Files     map[string][]byte
	Older     []map[string][]byte
	FeedAfter uint64
}

// save writes the files of stores to a new temporary file.
func save(stores []*Store) (path string, err error) {
	var all []saved
	for _, s := range stores {
		v := saved{FeedAfter: s.FeedAfter}
		if v.Files, err = contents(s.FS, dir); err != nil {
			return "", err
		}
		if v.Older, err = clones(s.Older); err != nil {
			return "", err
		}
		all = append(all, v)
	}
	f, err := os.CreateTemp("", "cordwood-damage-*.stores")
	if err != nil {
		return "", err
	}
	return f.Name(), errors.Join(gob.NewEncoder(f).Encode(all), f.Close())
}

// load puts files that save wrote in place of those of stores, which were built
// as the others had been.
func load(path string, stores []*Store) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var all []saved
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&all); err != nil {
		return err
	}
	if len(all) != len(stores) {
		return errors.New("saved with another number of stores")
	}
	for i, s := range stores {
		if s.FS, err = newFS(all[i].Files); err != nil {
			return err
		}
		s.FeedAfter = all[i].FeedAfter
		s.Older, s.Files = nil, nil
		for _, files := range all[i].Older {
			older, err := newFS(files)
			if err != nil {
				return err
			}
			s.Older = append(s.Older, older)
		}
		if err := s.learn(); err != nil {
			return err
		}
	}
	return nil
}
