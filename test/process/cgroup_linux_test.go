package process

import (
	"os"
	"path/filepath"
	"strconv"
)

// cgroupEnv is the directory of the control group that a child is to join.
const cgroupEnv = "CORDWOOD_TEST_CGROUP"

// joinCgroup puts this process into the control group that it was given.
func joinCgroup() error {
	dir := os.Getenv(cgroupEnv)
	if dir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644)
}
