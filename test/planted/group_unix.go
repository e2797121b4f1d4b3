//go:build planted && unix

package main

import (
	"os/exec"
	"syscall"
)

// asGroup has a command and its children end together: tests start processes
// of their own.
func asGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
