//go:build !linux

package process

import "errors"

// joinCgroup does nothing where there are no control groups.
func joinCgroup() error { return nil }

// starve does nothing where no child is asked to.
func starve() error { return nil }

func boundedChild(string) error { return errors.ErrUnsupported }
