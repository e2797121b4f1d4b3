package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

var update = flag.Bool("update", false, "write the golden files")

func encode(t *testing.T, run *Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteRun(&b, run); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The golden file was written by the first version; it has to stay readable.
func TestTheGoldenFileReadsAsItWasWritten(t *testing.T) {
	golden := filepath.Join("testdata", "run-v1.jsonl")
	want := encode(t, makeSample())
	if *update {
		if err := os.WriteFile(golden, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run, err := ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := encode(t, run); !bytes.Equal(got, want) {
		t.Errorf("the golden file reads as something else than makeSample()")
	}
	if run.Footer == nil || len(run.Phases) != 72 {
		t.Errorf("%d phases, footer %v", len(run.Phases), run.Footer)
	}
}

func TestARunThatWasCutOffReadsUpToThere(t *testing.T) {
	run := sample()
	run.Phases = run.Phases[:3]
	data := encode(t, run)
	var ends []int // of lines
	for i, b := range data {
		if b == '\n' {
			ends = append(ends, i)
		}
	}
	for cut := range len(data) + 1 {
		if cut%97 != 0 && cut > ends[0]+3 && cut < len(data)-300 {
			continue // all would take too long
		}
		got, err := ReadRun(bytes.NewReader(data[:cut]))
		if cut < ends[0] {
			if err == nil {
				t.Fatalf("cut at %d, in the header: no error", cut)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		phases := 0
		for _, end := range ends[1:4] {
			if cut >= end {
				phases++
			}
		}
		if whole := cut >= ends[4]; len(got.Phases) != phases || (got.Footer != nil) != whole {
			t.Fatalf("cut at %d: %d phases and footer %v, want %d and %v", cut, len(got.Phases), got.Footer, phases, whole)
		}
	}
}

func TestReadRefusesWhatIsNotARun(t *testing.T) {
	header := `{"kvbench_format":1}` + "\n"
	huge := hdrhistogram.New(1, 1<<62, 5)
	if err := huge.RecordValue(7); err != nil {
		t.Fatal(err)
	}
	wide, err := huge.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	phase := func(fields string) string { return header + `{"engine":"x",` + fields + "}\n" }
	cases := []struct {
		what, text string
		line       int
		problem    string
	}{
		{"nothing", "", 1, "empty"},
		{"blank lines", "\n\n\n", 1, "empty"},
		{"no JSON", "ops/s 1000\n", 1, "not JSON"},
		{"other JSON", "{\"a\":1}\n", 1, "no kvbench_format"},
		{"a bad header", `{"kvbench_format":1,"rounds":"x"}` + "\n", 1, "header"},
		{"a list", header + "[]\n", 2, "not JSON"},
		{"neither phase nor end", header + "{}\n", 2, "neither"},
		{"damage in the middle", header + "{\"engine\":\n{\"ended\":\"2026-11-20T12:00:00Z\"}\n", 2, "not JSON"},
		{"a bad phase", phase(`"round":-1`), 2, "negative"},
		{"a bad time", phase(`"seconds":-1`), 2, "negative"},
		{"a bad kind", phase(`"kinds":[{"latency":"!"}]`), 2, "kind"},
		{"a wide histogram", phase(fmt.Sprintf(`"kinds":[{"latency":%q}]`, wide)), 2, "bounds"},
		{"many kinds", phase(`"kinds":[` + strings.Repeat("{},", kindsMax) + `{}]`), 2, "too many"},
		{"more after the end", header + `{"ended":"2026-11-20T12:00:00Z"}` + "\n{\"engine\":\"x\"}\n", 3, "after the end"},
		{"a bad end", header + `{"ended":"yesterday"}` + "\n", 2, "end of the run"},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			_, err := ReadRun(strings.NewReader(c.text))
			bad, ok := errors.AsType[*FormatError](err)
			if !ok || bad.Line != c.line || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("error %v, want one of line %d about %q", err, c.line, c.problem)
			}
		})
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	_, err := ReadRun(strings.NewReader(`{"kvbench_format":2,"rounds":"a newer type"}` + "\n"))
	if newer, ok := errors.AsType[*VersionError](err); !ok || newer.Format != 2 {
		t.Errorf("error %v, want a *VersionError of format 2", err)
	}
}

// endless is a line without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func TestALineWithoutEndIsRefusedEarly(t *testing.T) {
	in := new(endless)
	if _, err := ReadRun(in); err == nil {
		t.Fatal("no error")
	}
	if in.read > 2*lineBytesMax {
		t.Errorf("%d bytes were read", in.read)
	}
}

func TestErrorsOfReadingAreKept(t *testing.T) {
	if _, err := ReadRun(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("{}")))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error %v", err)
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// lines counts the calls of Write, and fails when told to.
type lines struct {
	bytes.Buffer
	calls, flushes int
	err            error
}

func (l *lines) Write(p []byte) (int, error) {
	l.calls++
	if l.err != nil {
		n, _ := l.Buffer.Write(p[:len(p)/2])
		return n, l.err
	}
	return l.Buffer.Write(p)
}

func (l *lines) Flush() error { l.flushes++; return nil }

func TestEveryLineIsHandedOverAtOnce(t *testing.T) {
	run, out := sample(), new(lines)
	w, err := NewWriter(out, run.Header)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := w.Phase(&run.Phases[i]); err != nil {
			t.Fatal(err)
		}
		if out.calls != i+2 || out.flushes != i+2 || !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			t.Fatalf("after %d phases: %d calls, %d flushes", i+1, out.calls, out.flushes)
		}
	}
	out.err = errors.New("no space")
	if err := w.Phase(&run.Phases[3]); !errors.Is(err, out.err) {
		t.Errorf("error %v", err)
	}
	full := out.err
	out.err = nil
	if err := w.Close(Footer{Ended: time.Now()}); !errors.Is(err, full) {
		t.Errorf("after half a line: error %v, want the first again", err)
	}
	got, err := ReadRun(&out.Buffer)
	if err != nil || len(got.Phases) != 3 || got.Footer != nil {
		t.Errorf("the rest reads as %v, error %v", got, err)
	}
}

func TestUnknownFieldsAreLeftOut(t *testing.T) {
	run, err := ReadRun(strings.NewReader(`{"kvbench_format":1,"colour":"red"}` + "\n" + `{"engine":"x","taste":1}`))
	if err != nil || len(run.Phases) != 1 || run.Phases[0].Engine != "x" {
		t.Errorf("%v, error %v", run, err)
	}
}

func FuzzReadRun(f *testing.F) {
	p := Phase{Engine: "x", Workload: "w", Round: 1, Seconds: 1, Operations: 3, Kinds: []Kind{{Name: "read", Class: Read}}}
	p.Kinds[0].Latency.Record(time.Millisecond, 3)
	var b bytes.Buffer
	if err := WriteRun(&b, &Run{Phases: []Phase{p}, Footer: &Footer{}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"kvbench_format":1}` + "\n" + `{"engine":"x","kinds":[{"latency":""}]}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := ReadRun(bytes.NewReader(data))
		if err != nil {
			return
		}
		// What was read can be summed up and written, and reads the same again.
		Summaries(run)
		var first, second bytes.Buffer
		if err := WriteRun(&first, run); err != nil {
			if _, ok := errors.AsType[*json.MarshalerError](err); ok {
				return // a year after 9999
			}
			t.Fatal(err)
		}
		again, err := ReadRun(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteRun(&second, again); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("written again it differs (%v)", err)
		}
	})
}
