//go:build !unix && !windows

package run

import "os/exec"

// detach does nothing where processes have no groups.
func detach(*exec.Cmd) {}
