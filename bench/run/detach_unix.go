//go:build unix

package run

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C on the terminal from the child: its parent tells it.
func detach(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
