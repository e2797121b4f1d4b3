package fuzz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

// FuzzOpenDirectory changes a store that was killed.
func FuzzOpenDirectory(f *testing.F) { fuzzImage(f, load(f, "killed")) }

// FuzzPlainDirectory changes a store that was killed and in which nothing is
// compressed: more of what an input says gets through to decoders.
func FuzzPlainDirectory(f *testing.F) { fuzzImage(f, load(f, "plain")) }

// FuzzCheckpoint changes a checkpoint.
func FuzzCheckpoint(f *testing.F) { fuzzImage(f, load(f, "checkpoint")) }

func fuzzImage(f *testing.F, im *image) {
	frames := layouts(f, im)
	f.Add([]byte{})
	for i, name := range im.names {
		b := im.files[name]
		middle := binary.LittleEndian.AppendUint16(nil, uint16(len(b)/2))
		for _, reseal := range []byte{0, editReseal} {
			f.Add(slices.Concat([]byte{editXor | reseal, byte(i)}, middle, []byte{0x10}))
			f.Add(slices.Concat([]byte{editNumber | reseal, byte(i)}, middle, []byte{2}, bytes.Repeat([]byte{0xff}, 8)))
			f.Add(slices.Concat([]byte{editTruncate | reseal, byte(i)}, middle))
		}
		f.Add([]byte{editRemove, byte(i)})
		f.Add([]byte{editReplace, byte(i), byte(i + 1)})
		f.Add([]byte{editExtend | editReseal, byte(i), 0, 0, 200})
		f.Add(slices.Concat([]byte{editCopy, byte(i)}, middle, []byte{byte(i + 1), 64, 0, 100}))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		changed := im.clone()
		forged := edit(changed, frames, program)
		check(t, changed, forged)
	})
}

// FuzzRawDirectory takes the files of a small store as they are, or with
// checksums that are right wherever the original has one.
func FuzzRawDirectory(f *testing.F) {
	im := load(f, "small")
	frames := layouts(f, im)
	var names [5]string
	for _, name := range im.names {
		switch kind, _ := base.ParseFileName(name); kind {
		case base.FileCurrent:
			names[0] = name
		case base.FileManifest:
			names[1] = name
		case base.FileWAL:
			names[2] = name
		case base.FileTable:
			names[3] = name
		case base.FileVlog:
			names[4] = name
		}
	}
	file := func(i int) []byte { return im.files[names[i]] }
	f.Add(file(0), file(1), file(2), file(3), file(4), false)
	f.Add(file(0), file(1), file(2), file(3), file(4), true)
	f.Add(file(0), file(1), []byte{}, file(4), file(3), true)
	f.Add([]byte{}, []byte{}, []byte{}, []byte{}, []byte{}, false)
	for _, settings := range []string{"\x05\x09", "\x63\x01", "\x01\x80"} { // unknown, unknown, cut short
		side := []byte(sideName + "\x00\x02") // no merge operator, two bytes of settings
		manifest := bytes.Replace(file(1), append(side, "\x05\x02"...), append(side, settings...), 1)
		if bytes.Equal(manifest, file(1)) {
			f.Fatalf("no settings of %q in the MANIFEST", sideName)
		}
		f.Add(file(0), manifest, file(2), file(3), file(4), true)
	}
	f.Fuzz(func(t *testing.T, current, manifest, log, table, values []byte, reseal bool) {
		raw := &image{files: make(map[string][]byte), values: im.values}
		for i, b := range [][]byte{current, manifest, log, table, values} {
			raw.names = append(raw.names, names[i])
			raw.files[names[i]] = slices.Clone(b[:min(len(b), bytesMax)])
		}
		if reseal {
			for _, name := range names {
				frames[name].reseal(raw.files[name])
			}
			if b := raw.files[names[1]]; len(b) >= 64 { // the MANIFEST that CURRENT names
				text := fmt.Sprintf("cordwood database\nformat 1\nmanifest %s\nid %016x\ncrc32c 00000000\n",
					names[1], binary.LittleEndian.Uint64(b[16:]))
				raw.files[names[0]] = []byte(text)
				frames[names[0]].reseal(raw.files[names[0]])
			}
		}
		check(t, raw, true)
	})
}

// TestEditsDoWhatTheySay keeps inputs that were found once meaningful.
func TestEditsDoWhatTheySay(t *testing.T) {
	im := &image{names: []string{"a", "b"}, files: map[string][]byte{"a": []byte("0123456789"), "b": []byte("xyz")}}
	for _, c := range []struct {
		program string
		a, b    string
	}{
		{"", "0123456789", "xyz"},
		{"\x00\x00\x02\x00\x03ABC", "01ABC56789", "xyz"},
		{"\x01\x01\x01\x00\x01", "0123456789", "xxz"},
		{"\x02\x00\x08\x00\x01\x01\x02\x03\x04\x05\x06\x07\x08", "01234567\x01\x02", "xyz"},
		{"\x03\x00\x04\x00", "0123", "xyz"},
		{"\x04\x01\x01\x00\x09", "0123456789", "xyzyz"},
		{"\x05\x00\x01\x00\x01\x01\x00\x02", "0yz3456789", "xyz"},
		{"\x06\x00\x01", "xyz", "xyz"},
		{"\x07\x01", "0123456789", ""},
		{"\x07\x01\x06\x01\x00", "0123456789", "0123456789"},
		{"\x88\x00\x00\x00\x01Z", "Z123456789", "xyz"},
	} {
		changed := im.clone()
		forged := edit(changed, nil, []byte(c.program))
		if string(changed.files["a"]) != c.a || string(changed.files["b"]) != c.b || forged != (len(c.program) > 0 && c.program[0] >= editReseal) {
			t.Errorf("% x: %q, %v", c.program, changed.files, forged)
		}
	}
}

// TestUntouchedImagesReadWhole makes sure that the images hold what their
// targets are about, and that the checks see it.
func TestUntouchedImagesReadWhole(t *testing.T) {
	for _, name := range []string{"killed", "plain", "checkpoint", "small"} {
		im := load(t, name)
		layouts(t, im)
		check(t, im, false)
		fs := im.mem(t)
		c := &checker{t: t, fs: fs, im: im}
		store := c.open(options(fs))
		if store == nil {
			t.Fatalf("%s does not open", name)
		}
		for key, got := range c.readAll(store) {
			if allowed := im.values[key]; got != allowed[len(allowed)-1] {
				t.Errorf("%s: %q is %q, want the last of %q", name, key, got, allowed)
			}
		}
		must(t, store.Close())
	}
}
