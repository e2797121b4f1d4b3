package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/cordwood-db/cordwood/bench/result"
)

var errPending = errors.New("package report does not make this yet")

func reportCSV(io.Writer, *result.Run) error     { return errPending }
func reportGoBench(io.Writer, *result.Run) error { return errPending }

func reportVerdicts(w io.Writer, verdicts []result.Verdict) error {
	_, err := fmt.Fprintf(w, "%+v\n", verdicts)
	return err
}

func reportRegressions(w io.Writer, r *result.Regressions) error {
	_, err := fmt.Fprintf(w, "%+v\n", r)
	return err
}
