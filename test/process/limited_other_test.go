//go:build !linux

package process

import "errors"

func limitedChild(string) error { return errors.ErrUnsupported }
