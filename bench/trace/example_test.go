package trace_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/engine/enginetest"
	"github.com/cordwood-db/cordwood/bench/trace"
	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// application stands for one that uses a store: this one is of the wrapper's
// type.
func application(store *trace.DB) error {
	if err := store.Put([]byte("user/7"), []byte("Ada")); err != nil {
		return err
	}
	_, err := store.Get([]byte("user/7"))
	return err
}

// An application is recorded, and replayed on another engine.
func Example() {
	dir, err := os.MkdirTemp("", "trace-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.trace")
	if err := record(path); err != nil {
		log.Fatal(err)
	}
	facts, err := trace.Info(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(facts.Operations, "operations on", facts.Keys, "key")
	if err := replay(path, dir); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 2 operations on 1 key
	// put
	// get
}

func record(path string) error {
	store, err := db.Open("store", &db.Options{FS: vfs.NewMem()})
	if err != nil {
		return err
	}
	r, err := trace.Create(path, trace.Options{HashKeys: true})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(application(trace.Wrap(store, r)), store.Close(), r.Close())
}

// replay does what package run does with every source, without measuring.
func replay(path, dir string) error {
	e := enginetest.Memory()
	o := engine.DefaultOptions()
	o.Dir = dir
	store, err := e.Open(o)
	if err != nil {
		return err
	}
	defer store.Close()
	r, err := trace.NewReplay(path, store, e.Abilities, trace.ReplayOptions{Threads: 1, Verify: true})
	if err != nil {
		return err
	}
	if err := r.Preload(context.Background(), nil); err != nil {
		return err
	}
	c, err := r.Client(0)
	if err != nil {
		return err
	}
	for {
		kind, _, more := c.Prepare()
		if !more {
			return errors.Join(c.Close(), r.Finish(false))
		}
		fmt.Println(r.Kinds()[kind].Name)
		if _, err := c.Execute(); err != nil {
			return err
		}
		if err := c.Verify(); err != nil {
			return err
		}
	}
}
