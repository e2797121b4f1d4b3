package process

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/db"
)

// readerChild opens the store read-only, reads all of it and tries to write.
func readerChild(dir string) error {
	o := options()
	o.ReadOnly = true
	store, err := db.Open(dir, o)
	if err != nil {
		return err
	}
	n, bytes := 0, 0
	for item, err := range store.Scan(db.All()) {
		if err != nil {
			return err
		}
		v, err := item.Value()
		if err != nil {
			return err
		}
		n++
		bytes += len(v)
	}
	if err := store.Put([]byte("k"), nil); !errors.Is(err, db.ErrReadOnly) {
		return fmt.Errorf("a write got %v", err)
	}
	if err := store.Close(); err != nil {
		return err
	}
	fmt.Println("read", n, bytes)
	return nil
}
