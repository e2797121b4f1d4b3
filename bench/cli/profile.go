package cli

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
)

// startProfiles begins the profiles that were asked for. Call stop at the end.
func startProfiles(s *settings) (stop func() error, err error) {
	var cpu *os.File
	if s.cpuProfile != "" {
		if cpu, err = os.Create(s.cpuProfile); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(err, cpu.Close())
		}
	}
	return func() error {
		var errs []error
		if cpu != nil {
			pprof.StopCPUProfile()
			errs = append(errs, cpu.Close())
		}
		if s.memProfile != "" {
			errs = append(errs, writeAllocations(s.memProfile))
		}
		return errors.Join(errs...)
	}, nil
}

func writeAllocations(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	runtime.GC() // so that the profile is up to date
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
