//go:build !linux && !darwin && !windows

package measure

import "github.com/cordwood-db/cordwood/bench/result"

// probeSystem knows nothing more here.
func probeSystem(*result.Machine) {}

// probeVolume knows nothing here.
func probeVolume(*result.Machine, string) {}
