package workload

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestTheExampleOfAMix(t *testing.T) {
	w, err := ReadMix("testdata/sessions.toml")
	if err != nil {
		t.Fatal(err)
	}
	if w.Name != "sessions" || !w.Loaded || w.Load != "ycsb-load" || !w.Writes || w.Fresh || len(w.Shares) != 5 ||
		w.Keys != 500_000 || w.KeyBytes != 24 || *w.Compressibility != 0.4 {
		t.Fatalf("%+v", w)
	}
	set := testData(t, 1000, "100")
	d, err := w.DataFor(set)
	if err != nil || d.Keys != 500_000 || d.Capacity != 750_000 || d.KeyBytes != 24 || d.Sizes.String() != "pareto:200,0.3" || d.Compressibility != 0.4 {
		t.Fatalf("%+v, %v", d, err)
	}
	small := *w
	small.Keys = 400
	d, err = small.DataFor(set)
	if err != nil {
		t.Fatal(err)
	}
	store, m := newMemory(t), NewModel(d)
	if err := load(store, m, &small, 2); err != nil {
		t.Fatal(err)
	}
	_, counts, err := runWorkload(&small, Config{Store: store, Model: m, Threads: 2, Operations: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if n := counts["read"]; n < 1300 || n > 1500 {
		t.Errorf("%d reads of 2000 operations, want 70%%", n)
	}
}

func TestWorkloadsSurviveJSON(t *testing.T) {
	mix, err := ReadMix("testdata/sessions.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range append(All(), mix) {
		text, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var back Workload
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", w.Name, err)
		}
		if !reflect.DeepEqual(*w, back) {
			t.Errorf("%s: %+v came back as %+v", w.Name, *w, back)
		}
	}
	d := testData(t, 10, "list:100x90,1KiBx9,64KiB")
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Data
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(*d, back) {
		t.Errorf("%+v came back as %+v, %v", *d, back, err)
	}
	for _, bad := range []string{`{}`, `{"name":"x"}`, `{"name":"x","shares":[{"op":"read","weight":-1}]}`, `[]`,
		`{"name":"x","shares":[{"op":"collect","weight":1}]}`, `{"name":"x","program":"dance"}`, `{"name":"x","special":"party"}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("data: %s was accepted", bad)
		}
		if err := json.Unmarshal([]byte(bad), new(Workload)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestABadMixIsRefusedByLineAndKey(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
		key  string
		want string
	}{
		{"name = \"a\"\nspeed = 3\n[shares]\nread = 1\n", 2, "speed", "not known"},
		{"[shares]\nread = 1\nreed = 2\n", 3, "shares.reed", "no kind"},
		{"[shares]\nread = 1\n[besides]\nupdate = 2\n", 3, "besides", "not known"},
		{"[shares]\nread = -1\n", 2, "shares.read", "negative"},
		{"[shares]\nread = nan\n", 2, "shares.read", "negative"},
		{"[shares]\nread = 0\n", 1, "shares", "sum to 0"},
		{"name = \"x\"\n", 0, "shares", "sum to 0"},
		{"shares.read = 1\nshares.fly = 2\n", 2, "shares.fly", "no kind"},
		{"keys = \"many\"\n[shares]\nread = 1\n", 1, "keys", "incompatible"},
		{"[shares]\nread = \"all\"\n", 2, "shares.read", "incompatible"},
		{"keys = 0\n[shares]\nread = 1\n", 1, "keys", "must be"},
		{"key_bytes = 7\n[shares]\nread = 1\n", 1, "key_bytes", "must be"},
		{"values = \"3\"\n[shares]\nread = 1\n", 1, "values", "identity"},
		{"chooser = \"dice\"\n[shares]\nread = 1\n", 1, "chooser", "not one of"},
		{"scan = \"0\"\n[shares]\nscan = 1\n", 1, "scan", "not a number"},
		{"ttl = \"soon\"\n[shares]\nread = 1\n", 1, "ttl", "duration"},
		{"ttl = \"-1s\"\n[shares]\nread = 1\n", 1, "ttl", "above 0"},
		{"batch = 0\n[shares]\nread = 1\n", 1, "batch", "must be"},
		{"operations = 0\n[shares]\nread = 1\n", 1, "operations", "at least 1"},
		{"name = \"fillseq\"\n[shares]\nread = 1\n", 1, "name", "is the name of"},
		{"compressibility = 1.5\n[shares]\nread = 1\n", 1, "compressibility", "0 to 1"},
		{"[shares]\nread = 1\n[beside]\nupdate = 0\n", 4, "beside.update", "above 0"},
		{"[shares]\nmerge = 1\nputttl = 1\n", 2, "shares.merge", "mixed"},
		{"name = \n", 1, "name", "expected value"},
		{"[shares\n", 2, "", ""},
		{"\xff\xfe", 0, "", ""},
	} {
		_, err := parseMix("some/my.toml", []byte(c.text))
		bad, ok := errors.AsType[*MixError](err)
		if !ok {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if c.line != 0 && bad.Line != c.line || c.key != "" && bad.Key != c.key || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: line %d, key %q: %v", c.text, bad.Line, bad.Key, err)
		}
	}
}

func TestAMixWithoutAFileOrAName(t *testing.T) {
	if _, err := ReadMix(filepath.Join(t.TempDir(), "none.toml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "nightly.toml")
	if err := os.WriteFile(path, []byte("empty = true\n[shares]\nputttl = 1\nread = 1.5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := ReadMix(path)
	if err != nil || w.Name != "nightly" || !w.Fresh || w.Loaded || w.Needs == 0 {
		t.Errorf("%+v, %v", w, err)
	}
}

func FuzzMixNeverPanics(f *testing.F) {
	example, err := os.ReadFile("testdata/sessions.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("[shares]\nread = 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		w, err := parseMix("fuzz.toml", text)
		if err != nil {
			if _, ok := errors.AsType[*MixError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		encoded, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, new(Workload)); err != nil {
			t.Fatal(err)
		}
	})
}
