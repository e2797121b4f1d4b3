package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

var errPending = errors.New("this part has not landed yet")

func findWorkload(string) (string, bool) { return "", false }
func workloadNames() []string            { return nil }
func metricNames() []string              { return nil }
func sizeNames() []string                { return nil }

func (a *app) listWorkloads(bool) error { return nil }
func (a *app) listSizes(bool) error     { return nil }
func (a *app) listChoosers(bool) error  { return nil }
func (a *app) listMetrics(bool) error   { return nil }

func (a *app) bench(*cobra.Command, *settings, []string) error      { return errPending }
func (a *app) replay(*cobra.Command, *settings, string) error       { return errPending }
func (a *app) files(*cobra.Command, *settings, string) error        { return errPending }
func (a *app) reportRuns(*cobra.Command, *settings, []string) error { return errPending }
func (a *app) child(context.Context) error                          { return errPending }
func (a *app) filesChild(context.Context) error                     { return errPending }
