package cli

import (
	"os/exec"
	"strings"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// preferred is the engine that is measured and compared with unless told
// otherwise, where it is linked in.
const preferred = "cordwood"

// defaultEngine is what is measured without -engine.
func defaultEngine() (*engine.Engine, bool) {
	if e, ok := engine.Find(preferred); ok {
		return e, true
	}
	all := engine.All()
	if len(all) == 0 {
		return nil, false
	}
	return all[0], true
}

func engineNames() []string {
	var names []string
	for _, e := range engine.All() {
		names = append(names, e.Name)
	}
	return names
}

// contender is one engine of a run.
type contender struct {
	name    string // in the results: "pebble", or "pebble@./old"
	engine  string
	program string // the absolute path of another program; empty: this one
}

// contenders are the engines to measure.
func (s *settings) contenders() ([]contender, error) {
	names := s.engines
	if len(names) == 0 && s.allEngines {
		names = engineNames()
	} else if len(names) == 0 {
		if e, ok := defaultEngine(); ok {
			names = []string{e.Name}
		}
	}
	if len(names) == 0 {
		return nil, usageErrorf("no engine is linked into this program")
	}
	var found []contender
	for _, name := range names {
		c, err := findContender(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		for _, other := range found {
			if other.name == c.name {
				return nil, usageErrorf("-engine names %s twice", c.name)
			}
		}
		found = append(found, c)
	}
	return found, nil
}

// findContender reads one name of -engine.
func findContender(name string) (contender, error) {
	own, program, other := strings.Cut(name, "@")
	if other {
		// LookPath also tells what is wrong with a path.
		path, err := exec.LookPath(program)
		if err != nil {
			return contender{}, usageErrorf("-engine %s: %v", name, err)
		}
		return contender{name: own + "@" + path, engine: own, program: path}, nil
	}
	if _, ok := engine.Find(name); !ok {
		return contender{}, usageErrorf("unknown engine %q%s", name, didYouMean(name, engineNames()))
	}
	return contender{name: name, engine: name}, nil
}

// baselineOf is the engine that the others are compared with.
func (s *settings) baselineOf(names []string) (string, error) {
	if s.baselineEngine == "" {
		for _, name := range names {
			if name == preferred {
				return name, nil
			}
		}
		return names[0], nil
	}
	for _, name := range names {
		if name == s.baselineEngine {
			return name, nil
		}
	}
	return "", usageErrorf("-baseline-engine %s is not among the engines of the run%s", s.baselineEngine, didYouMean(s.baselineEngine, names))
}
