package result

import (
	"encoding/json"
	"fmt"
	"io"
)

// Writer writes the file of a run as the run goes on. A line is handed to the
// underlying writer in one call, and flushed if that has a Flush method: what a
// killed program leaves is whole but for its last line.
type Writer struct {
	out io.Writer
	err error // of writing; sticky, since half a line may be there
}

// NewWriter writes the header, with Format set, and returns a writer for the
// rest. Closing out is the caller's.
func NewWriter(out io.Writer, header Header) (*Writer, error) {
	header.Format = Format
	w := &Writer{out: out}
	return w, w.line(header)
}

// Phase writes a phase.
func (w *Writer) Phase(p *Phase) error {
	if err := w.line(p); err != nil {
		return fmt.Errorf("saving %s of %s: %w", p.Workload, p.Engine, err)
	}
	return nil
}

// Close writes the end of the run. It does not close the underlying writer.
func (w *Writer) Close(footer Footer) error { return w.line(footer) }

func (w *Writer) line(v any) error {
	if w.err != nil {
		return w.err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err // nothing was written: later lines may be fine
	}
	if _, err := w.out.Write(append(data, '\n')); err != nil {
		w.err = err
		return err
	}
	if f, ok := w.out.(interface{ Flush() error }); ok {
		w.err = f.Flush()
	}
	return w.err
}

// WriteRun writes a whole run, without its end if Footer is nil.
func WriteRun(out io.Writer, run *Run) error {
	w, err := NewWriter(out, run.Header)
	if err != nil {
		return err
	}
	for i := range run.Phases {
		if err := w.Phase(&run.Phases[i]); err != nil {
			return err
		}
	}
	if run.Footer == nil {
		return nil
	}
	return w.Close(*run.Footer)
}
