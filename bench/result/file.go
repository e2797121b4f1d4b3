package result

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds of what ReadRun accepts, so that a damaged or hostile file costs no more.
const (
	lineBytesMax      = 64 << 20 // of one line: a day of seconds takes a tenth
	kindsMax          = 64       // of one phase
	histogramBytesMax = 1 << 30  // of all histograms of a file, decoded
)

// VersionError says that a file was written by a newer kvbench.
type VersionError struct{ Format int }

// Error says which formats there are.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the run has format %d, this kvbench reads formats up to %d: use a newer one", e.Format, Format)
}

// FormatError says that a file is not one of kvbench's, or is damaged.
type FormatError struct {
	Line    int // from 1
	Problem string
	Err     error // may be nil
}

// Error names the line.
func (e *FormatError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("not a run of kvbench: line %d: %s: %v", e.Line, e.Problem, e.Err)
	}
	return fmt.Sprintf("not a run of kvbench: line %d: %s", e.Line, e.Problem)
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// ReadFile reads a run from a file. Errors are those of ReadRun with the file's name.
func ReadFile(path string) (*Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	run, err := ReadRun(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return run, nil
}

// ReadRun reads a run. Of one that was cut off it returns what is whole: a last
// line without its end is left out, and Footer is nil. It fails with a
// *VersionError or a *FormatError, or with the error of r.
func ReadRun(r io.Reader) (*Run, error) {
	d := decoder{in: bufio.NewReaderSize(r, 1<<16)}
	for {
		line, whole, err := d.next()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if err := d.add(line); err != nil && (whole || d.run == nil) {
				return nil, err
			}
		}
		if !whole {
			break
		}
	}
	if d.run == nil {
		return nil, &FormatError{Line: 1, Problem: "it is empty"}
	}
	return d.run, nil
}

// decoder turns lines into a run.
type decoder struct {
	in         *bufio.Reader
	number     int // of the line
	run        *Run
	histograms int // bytes
}

// next returns the next line. whole is false for the rest after the last end of
// a line, which may be empty.
func (d *decoder) next() (line []byte, whole bool, err error) {
	d.number++
	for {
		part, err := d.in.ReadSlice('\n')
		if len(line)+len(part) > lineBytesMax {
			return nil, false, d.fail(fmt.Sprintf("it is longer than %d MiB", lineBytesMax>>20), nil)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, true, nil
		case errors.Is(err, io.EOF):
			return line, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		}
	}
}

func (d *decoder) fail(problem string, err error) error {
	return &FormatError{Line: d.number, Problem: problem, Err: err}
}

// add decodes one line.
func (d *decoder) add(line []byte) error {
	if d.run == nil {
		return d.addHeader(line)
	}
	if d.run.Footer != nil {
		return d.fail("something comes after the end of the run", nil)
	}
	// A phase and a footer differ by what both must have.
	var sort struct {
		Engine *string
		Ended  *string
	}
	if err := json.Unmarshal(line, &sort); err != nil {
		return d.fail("it is not JSON", err)
	}
	switch {
	case sort.Engine != nil:
		return d.addPhase(line)
	case sort.Ended != nil:
		footer := new(Footer)
		if err := json.Unmarshal(line, footer); err != nil {
			return d.fail("the end of the run does not make sense", err)
		}
		d.run.Footer = footer
		return nil
	}
	return d.fail("it is neither a phase nor the end of a run", nil)
}

func (d *decoder) addHeader(line []byte) error {
	// The version first: the rest of a newer header may look different.
	var version struct {
		Format int `json:"kvbench_format"`
	}
	if err := json.Unmarshal(line, &version); err != nil {
		return d.fail("it is not JSON", err)
	}
	if version.Format <= 0 {
		return d.fail("it has no kvbench_format", nil)
	}
	if version.Format > Format {
		return &VersionError{version.Format}
	}
	run := new(Run)
	if err := json.Unmarshal(line, &run.Header); err != nil {
		return d.fail("the header does not make sense", err)
	}
	d.run = run
	return nil
}

func (d *decoder) addPhase(line []byte) error {
	// Kinds are decoded one by one: a few bytes can say a large histogram.
	type fields Phase
	var phase struct {
		fields
		Kinds []json.RawMessage `json:"kinds"`
	}
	if err := json.Unmarshal(line, &phase); err != nil {
		return d.fail("the phase does not make sense", err)
	}
	if len(phase.Kinds) > kindsMax {
		return d.fail(fmt.Sprintf("%d kinds of operations in a phase are too many", len(phase.Kinds)), nil)
	}
	p := Phase(phase.fields)
	for _, text := range phase.Kinds {
		var kind Kind
		if err := json.Unmarshal(text, &kind); err != nil {
			return d.fail("a kind of operation does not make sense", err)
		}
		d.histograms += kind.Latency.bytes()
		if kind.Service != nil {
			d.histograms += kind.Service.bytes()
		}
		if d.histograms > histogramBytesMax {
			return d.fail(fmt.Sprintf("the histograms take more than %d MiB", histogramBytesMax>>20), nil)
		}
		p.Kinds = append(p.Kinds, kind)
	}
	if !p.sane() {
		return d.fail("a time or a rate is negative", nil)
	}
	d.run.Phases = append(d.run.Phases, p)
	return nil
}

// sane reports whether the numbers that others are divided by or ordered by
// are possible. JSON has neither NaN nor infinity.
func (p *Phase) sane() bool {
	return min(p.Seconds, p.WarmupSeconds, p.SettleSeconds, p.Rate) >= 0 && p.SpeedNS >= 0 && p.Round >= 0 &&
		min(p.Costs.CPUNS, p.Costs.PeakBytes, p.Costs.ClientBytes, p.Costs.DiskBytes, p.Costs.WrittenBytes,
			p.Costs.ReadBytes, p.Costs.WriteCalls, p.Costs.ReadCalls) >= 0
}
