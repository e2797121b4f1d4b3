package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// space is one life of a keyspace, from its making to its drop.
type space struct {
	id       int // of the model: never used again; 0 is the default one
	name     string
	op       db.MergeOperator // nil: none
	recorded bool             // the store knows the operator by now
	ttl      time.Duration    // of what Put writes; 0: for ever
	dropped  bool
	handle   *db.Keyspace // nil: not opened since the store was
}

// reader reads the space; the default one is read through the store at times.
func (r *run) reader(s *space) db.Reader {
	if s.id == 0 && r.draw.One(2) {
		return r.store
	}
	return s.handle
}

// writer writes to the space.
func (r *run) writer(s *space) db.Writer {
	if s.id == 0 && r.draw.One(2) {
		return r.store
	}
	return s.handle
}

// space draws a keyspace and opens it if it is not open yet. One that is not
// lives on in the background as it was stored, without its functions.
func (r *run) space() (*space, error) {
	s := r.spaces[r.draw.IntN(len(r.spaces))]
	if s.handle == nil {
		if r.draw.IntN(8) < 7 {
			return r.spaces[0], nil
		}
		return s, r.openSpace(s)
	}
	return s, nil
}

// given notes the options that a keyspace was given.
func (s *space) given(o *db.KeyspaceOptions) {
	switch {
	case o.DefaultTTL > 0:
		s.ttl = o.DefaultTTL
	case o.DefaultTTL < 0:
		s.ttl = 0
	}
}

// openSpace opens a keyspace that there is, with options or without; first, at
// times, with an operator that is not its own.
func (r *run) openSpace(s *space) error {
	o := &db.KeyspaceOptions{Merge: s.op}
	if r.draw.One(3) {
		o = r.drawSpaceOptions(s.op)
	}
	o.MustExist = r.draw.One(2)
	r.note("open keyspace %d %q %+v", s.id, s.name, *o)
	if s.recorded && r.draw.One(3) {
		wrong := db.Max()
		if s.op.Name() == wrong.Name() {
			wrong = db.Counter()
		}
		if _, err := r.store.Keyspace(s.name, &db.KeyspaceOptions{Merge: wrong, DefaultTTL: 1}); !errors.Is(err, db.ErrMergeOperator) {
			return fmt.Errorf("keyspace %q with another operator: %v", s.name, err)
		}
	}
	ks, err := r.store.Keyspace(s.name, o)
	if err != nil {
		return fmt.Errorf("keyspace %q: %w", s.name, err)
	}
	if s.handle != nil && s.handle != ks {
		return fmt.Errorf("keyspace %q opened again is another", s.name)
	}
	s.handle = ks
	s.given(o)
	return nil
}

// changeSpaces makes a keyspace, gives one new options, or drops one.
func (r *run) changeSpaces() error {
	name := string("abcdef"[r.draw.IntN(6)])
	at := slices.IndexFunc(r.spaces, func(s *space) bool { return s.name == name })
	switch {
	case at < 0 && r.draw.One(8):
		r.note("no keyspace %q", name)
		_, err := r.store.Keyspace(name, &db.KeyspaceOptions{MustExist: true})
		if drop := r.store.DropKeyspace(name); !errors.Is(err, db.ErrNoKeyspace) || !errors.Is(drop, db.ErrNoKeyspace) {
			return fmt.Errorf("a keyspace that there is not: %v, dropping it %v", err, drop)
		}
		return nil
	case at < 0:
		return r.makeSpace(name)
	case r.draw.One(2):
		return r.openSpace(r.spaces[at])
	}
	return r.dropSpace(at)
}

func (r *run) makeSpace(name string) error {
	r.made++
	s := &space{id: r.made, name: name, op: r.drawOperator()}
	o := r.drawSpaceOptions(s.op)
	r.note("make keyspace %d %q %+v", s.id, name, *o)
	ks, err := r.store.Keyspace(name, o)
	if err != nil {
		return fmt.Errorf("make keyspace %q: %w", name, err)
	}
	s.handle = ks
	s.given(o)
	r.spaces = append(r.spaces, s)
	return nil
}

func (r *run) dropSpace(at int) error {
	s := r.spaces[at]
	r.note("drop keyspace %d %q", s.id, s.name)
	if err := r.store.DropKeyspace(s.name); err != nil {
		return fmt.Errorf("drop keyspace %q: %w", s.name, err)
	}
	s.dropped = true
	r.spaces = slices.Delete(r.spaces, at, at+1)
	if s.handle != nil {
		r.dead = append(r.dead, s)
	}
	return nil
}

// useDead uses a keyspace that was dropped in some way.
func (r *run) useDead() error {
	if len(r.dead) == 0 {
		return r.checkMetrics()
	}
	s := r.dead[r.draw.IntN(len(r.dead))]
	r.note("use dropped keyspace %d %q", s.id, s.name)
	var err error
	switch r.draw.IntN(7) {
	case 0:
		w := r.drawWrite(s)
		err = w.do(s.handle)
	case 1:
		_, err = s.handle.Get(r.key())
	case 2:
		_, err = s.handle.NewCursor(r.drawRange())
	case 3:
		for _, err = range s.handle.Scan(r.drawRange()) {
			break
		}
	case 4:
		lower, upper := r.bounds()
		err = s.handle.Compact(context.Background(), db.Between(lower, append(upper, 'x')))
	case 5:
		err = r.batchWithDead(s)
	default:
		if len(r.snapshots) == 0 {
			return nil
		}
		_, err = r.snapshots[r.draw.IntN(len(r.snapshots))].snap.In(s.handle).Get(r.key())
	}
	if !errors.Is(err, db.ErrKeyspaceDropped) {
		return fmt.Errorf("use of a dropped keyspace: %v", err)
	}
	return nil
}

// batchWithDead applies a batch of which one write is to a dropped keyspace:
// none of it may show.
func (r *run) batchWithDead(dead *space) error {
	r.batch.Reset()
	for i := range 3 {
		s, err := r.space()
		if err != nil {
			return err
		}
		to := r.batched(r.batch, s)
		if i == 1 {
			s, to = dead, r.batch.In(dead.handle)
		}
		w := r.drawWrite(s)
		if err := w.do(to); err != nil {
			return err
		}
	}
	return r.store.Apply(r.batch, db.NoSync)
}

// names are those of the keyspaces that there should be, sorted.
func (r *run) names() []string {
	names := []string{privateName}
	for _, s := range r.spaces[1:] {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return names
}
