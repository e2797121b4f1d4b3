package run

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C on the console from the child: its parent tells it.
func detach(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
