package workload

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// mixBytesMax is how long a file of a mix may be.
const mixBytesMax = 1 << 20

// MixError says what is wrong with the file of a mix.
type MixError struct {
	Path string
	Line int    // from 1; 0: not known
	Key  string // empty: the file as a whole
	Err  error
}

// Error implements error.
func (e *MixError) Error() string {
	place := e.Path
	if e.Line > 0 {
		place = fmt.Sprintf("%s:%d", e.Path, e.Line)
	}
	if e.Key != "" {
		place += ": " + e.Key
	}
	return place + ": " + e.Err.Error()
}

// Unwrap returns what the value was refused for.
func (e *MixError) Unwrap() error { return e.Err }

// mixFile is the file's form. Pointers: nil is not given.
type mixFile struct {
	Name            *string            `toml:"name"`
	Summary         *string            `toml:"summary"`
	Operations      *int64             `toml:"operations"`
	Chooser         *string            `toml:"chooser"`
	Scan            *string            `toml:"scan"`
	Batch           *int               `toml:"batch"`
	MultiGet        *int               `toml:"multiget"`
	TTL             *Duration          `toml:"ttl"`
	Hashed          *bool              `toml:"hashed"`
	Empty           *bool              `toml:"empty"`
	Keys            *int               `toml:"keys"`
	KeyBytes        *int               `toml:"key_bytes"`
	Values          *string            `toml:"values"`
	Compressibility *float64           `toml:"compressibility"`
	Shares          map[string]float64 `toml:"shares"`
	Beside          map[string]float64 `toml:"beside"`
}

// ReadMix reads a workload from a TOML file:
//
//	name = "sessions"                # without: the file's name
//	summary = "a store of sessions"  # one line for kvbench list
//	operations = 500_000             # for all clients; without: one for each key
//	chooser = "scrambled:0.9"        # as in ParseChooser; without: uniform
//	scan = "1..50"                   # entries of a scan; without: 10
//	batch = 20                       # writes in a batch; without: 100
//	multiget = 10                    # keys of a multiread; without: 100
//	ttl = "30s"                      # of putttl; without: 2s
//	hashed = true                    # records are spread over the keys by a hash
//	empty = false                    # true: it starts on an empty store
//
//	# The shape of data that it is made for; without: that of the set.
//	keys = 1_000_000
//	key_bytes = 24
//	values = "pareto:200,0.3"        # as in ParseSizes
//	compressibility = 0.5
//
//	[shares]                         # of operations, by their kind
//	read = 70
//	update = 20
//	insert = 5
//	scan = 5
//
//	[beside]                         # clients of their own, operations per second
//	update = 1000
//
// The kinds are read, readmissing, multiread, put, update, insert,
// readmodifywrite, batch, delete, merge, putttl, scan and reversescan, and beside
// others also collect. Whatever else stands there, or cannot be, is a *MixError
// that names the line and the key.
func ReadMix(path string) (*Workload, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a mix: %w", err)
	}
	return parseMix(path, text)
}

func parseMix(path string, text []byte) (*Workload, error) {
	if len(text) > mixBytesMax {
		return nil, &MixError{Path: path, Err: errors.New("longer than 1 MiB")}
	}
	var f mixFile
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(&f)
	if err != nil {
		return nil, decodeError(path, err)
	}
	lines := strings.Split(string(text), "\n")
	refuse := func(key string, err error) error {
		return &MixError{Path: path, Line: lineOf(lines, key), Key: key, Err: err}
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, refuse(unknown[0].String(), errors.New("is not known here"))
	}
	w := &Workload{Group: "own", Operations: everyKey}
	w.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if err := f.fill(w, refuse); err != nil {
		return nil, err
	}
	if err := w.check(); err != nil {
		return nil, refuse("", err)
	}
	return w, nil
}

// decodeError names the place of an error of the TOML library.
func decodeError(path string, err error) error {
	parse, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		// A value of the wrong type: the place is in the text only.
		bad := &MixError{Path: path}
		_, problem, _ := strings.Cut(err.Error(), "): ")
		if n, _ := fmt.Sscanf(err.Error(), "toml: line %d (last key %q)", &bad.Line, &bad.Key); n != 2 {
			problem = strings.TrimPrefix(err.Error(), "toml: ")
		}
		bad.Err = errors.New(problem)
		return bad
	}
	return &MixError{Path: path, Line: parse.Position.Line, Key: parse.LastKey,
		Err: errors.New(cmp.Or(parse.Message, strings.TrimPrefix(err.Error(), "toml: ")))}
}

// lineOf is the line on which a key such as "shares.read" is set; 0 if it is not
// found, written in another form.
func lineOf(lines []string, key string) int {
	table, name := "", key
	if at := strings.LastIndex(key, "."); at >= 0 {
		table, name = key[:at], key[at+1:]
	}
	current := ""
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "["); ok {
			current = strings.TrimSpace(strings.Trim(strings.SplitN(rest, "]", 2)[0], "[] "))
			if current == key {
				return i + 1
			}
			continue
		}
		left, _, ok := strings.Cut(line, "=")
		left = strings.Trim(strings.TrimSpace(left), `"'`)
		if ok && (current == table && left == name || current == "" && left == key) {
			return i + 1
		}
	}
	return 0
}

// fill puts what the file says into w.
func (f *mixFile) fill(w *Workload, refuse func(key string, err error) error) error {
	given(&w.Name, f.Name)
	given(&w.Summary, f.Summary)
	given(&w.Batch, f.Batch)
	given(&w.Multi, f.MultiGet)
	given(&w.TTL, f.TTL)
	given(&w.Hashed, f.Hashed)
	given(&w.Fresh, f.Empty)
	given(&w.Keys, f.Keys)
	given(&w.KeyBytes, f.KeyBytes)
	given(&w.Values, f.Values)
	given(&w.Scan, f.Scan)
	given(&w.Chooser, f.Chooser)
	w.Compressibility = f.Compressibility
	if w.Summary == "" {
		w.Summary = "a mix of operations from " + w.Name
	}
	if err := f.checkValues(refuse); err != nil {
		return err
	}
	if f.Operations != nil {
		w.Operations = Amount{Min: uint64(*f.Operations), Max: uint64(*f.Operations)}
	}
	if err := f.fillShares(w, refuse); err != nil {
		return err
	}
	w.Loaded, w.Fill = !w.Fresh, w.Fresh
	w.Load = "fillrandom"
	if w.Hashed {
		w.Load = "ycsb-load"
	}
	w.Needs = w.needs()
	return nil
}

func given[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// checkValues refuses values one by one, so that the error names the key.
func (f *mixFile) checkValues(refuse func(key string, err error) error) error {
	atLeast := func(key string, v *int, least, most int) error {
		if v != nil && (*v < least || *v > most) {
			return refuse(key, fmt.Errorf("%d: must be %d to %d", *v, least, most))
		}
		return nil
	}
	text := func(key string, v *string, parse func(string) error) error {
		if v == nil {
			return nil
		}
		if err := parse(*v); err != nil {
			return refuse(key, err)
		}
		return nil
	}
	if f.Operations != nil && *f.Operations < 1 {
		return refuse("operations", fmt.Errorf("%d: must be at least 1", *f.Operations))
	}
	if f.TTL != nil && (*f.TTL <= 0 || *f.TTL > ttlMax) {
		return refuse("ttl", errors.New("must be above 0, up to 30 days"))
	}
	if c := f.Compressibility; c != nil && !(*c >= 0 && *c <= 1) {
		return refuse("compressibility", fmt.Errorf("%v: must be 0 to 1", *c))
	}
	return cmp.Or(
		text("name", f.Name, checkName),
		text("chooser", f.Chooser, func(s string) error { _, err := ParseChooser(s); return err }),
		text("scan", f.Scan, func(s string) error { _, err := parseLengths(s); return err }),
		text("values", f.Values, func(s string) error { _, err := ParseSizes(s); return err }),
		atLeast("batch", f.Batch, 1, batchMax),
		atLeast("multiget", f.MultiGet, 1, batchMax),
		atLeast("keys", f.Keys, 1, KeysMax),
		atLeast("key_bytes", f.KeyBytes, KeyBytesMin, KeyBytesMax),
	)
}

func checkName(s string) error {
	if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return fmt.Errorf("%q: lower-case letters, digits and dashes make a name", s)
	}
	if _, taken := Find(s); taken {
		return fmt.Errorf("%q is the name of a workload of kvbench", s)
	}
	return nil
}

func (f *mixFile) fillShares(w *Workload, refuse func(key string, err error) error) error {
	sum := 0.0
	for _, op := range slices.Sorted(maps.Keys(f.Shares)) {
		weight := f.Shares[op]
		switch {
		case !slices.Contains(shareOps, Op(op)):
			return refuse("shares."+op, fmt.Errorf("no kind of operation; they are %v", shareOps))
		case !(weight >= 0 && weight <= shareMax):
			return refuse("shares."+op, fmt.Errorf("%v: must not be negative", weight))
		}
		sum += weight
		w.Shares = append(w.Shares, Share{Op(op), weight})
		w.Writes = w.Writes || weight > 0 && Op(op).writes()
	}
	if sum == 0 {
		return refuse("shares", errors.New("they sum to 0"))
	}
	for _, op := range slices.Sorted(maps.Keys(f.Beside)) {
		rate := f.Beside[op]
		switch {
		case Op(op) != Collect && !slices.Contains(shareOps, Op(op)):
			return refuse("beside."+op, fmt.Errorf("no kind of operation; they are %v and collect", shareOps))
		case !(rate > 0 && rate <= rateMax):
			return refuse("beside."+op, fmt.Errorf("%v: operations per second have to be above 0", rate))
		}
		w.Beside = append(w.Beside, Beside{Op: Op(op), Rate: rate})
	}
	if w.does(MergeOperand) && w.does(PutTTL) {
		return refuse("shares.merge", errMergeTTL)
	}
	return nil
}
