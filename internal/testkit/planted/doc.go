// Package planted selects one of the bugs that test/planted builds into test
// binaries of the engine. Nothing else imports it: the engine's own source does
// not know that it exists, and no build without test/planted's overlay has it.
//
// The choice is made once, by the environment; On may be asked on every path,
// by any goroutine.
package planted

import "os"

// Env is the variable that names the bug of this process. Empty or unset: none.
const Env = "CORDWOOD_PLANTED"

var selected = os.Getenv(Env)

// On reports whether the bug of this name is to be there. It compares two
// strings, most of which differ in length.
func On(name string) bool { return name == selected }
