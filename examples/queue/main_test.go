package main

import (
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestJobsAreDoneInOrderAndSurvivePowerLoss(t *testing.T) {
	fs := vfs.NewMem()
	var out strings.Builder
	for _, step := range [][2]string{
		{"add", "sweep"}, {"add", "rake"}, {"work", ""}, {"add", "mow"}, {"list", ""}, {"work", ""},
	} {
		store, err := db.Open("queue", &db.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if err := run(store, step[0], step[1], &out); err != nil {
			t.Fatal(err)
		}
		lost := fs.CrashClone(nil) // the power fails instead of a Close
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		fs = lost
	}
	const want = `accepted as 1
accepted as 2
1 done: SWEEP
2 done: RAKE
accepted as 3
done/1 SWEEP
done/2 RAKE
todo/3 mow
3 done: MOW
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestAnUnknownVerbIsAnError(t *testing.T) {
	store, err := db.Open("queue", &db.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := run(store, "sing", "", nil); err == nil {
		t.Error("no error")
	}
}
