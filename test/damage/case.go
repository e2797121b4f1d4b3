package damage

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cordwood-db/cordwood/vfs"
)

// Case is one way to damage a store.
type Case struct {
	Name  string
	Files map[string][]byte // new contents by base name; nil: the file is gone
}

// Run damages a copy of s and checks it.
func (c *Case) Run(s *Store, thorough bool) (Outcome, error) {
	fsys := s.FS.KillClone()
	if err := c.apply(fsys); err != nil {
		return Outcome{}, err
	}
	lowest, err := s.lowest(c)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.Check(fsys, lowest, thorough)
	if err != nil {
		return out, fmt.Errorf("%s store, %s: %w", s.Name, c.Name, err)
	}
	return out, nil
}

func (c *Case) apply(fsys *vfs.Mem) error {
	for name, data := range c.Files {
		if data != nil {
			if err := writeFile(fsys, name, data); err != nil {
				return err
			}
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// lowest is the oldest state that a store with this damage may show: the newest
// one, unless the log has lost its last whole record and the proof behind it.
// A whole record proves every record before it, since each commit of the log
// was synced before the next one was made.
func (s *Store) lowest(c *Case) (int, error) {
	damaged, touched := c.Files[s.Log]
	if s.Log == "" || !touched || damaged == nil {
		return len(s.States) - 1, nil
	}
	data, err := readFile(s.FS, s.Log)
	if err != nil {
		return 0, err
	}
	const recordsAt, proofBytes = 64, 32
	starts := append([]int64{recordsAt}, s.Ends...)
	ends := append(slices.Clone(s.Ends), s.Ends[len(s.Ends)-1]+proofBytes)
	proven, whole := int64(0), 0
	for i := range starts {
		same := ends[i] <= int64(len(damaged)) && string(data[starts[i]:ends[i]]) == string(damaged[starts[i]:ends[i]])
		if same && whole == i {
			whole++
		}
		if same {
			proven = starts[i]
		}
	}
	for i, end := range s.Ends {
		if end <= proven {
			whole = max(whole, i+1)
		}
	}
	return min(whole, len(s.States)-1), nil
}

// kind is the part of a file name that files of one kind share.
func kind(name string) string {
	if ext := filepath.Ext(name); ext != "" {
		return ext
	}
	return name[:min(len(name), 4)]
}
