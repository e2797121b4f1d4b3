package enginetest

import "testing"

func TestRunOfMemory(t *testing.T) { Run(t, Memory()) }
