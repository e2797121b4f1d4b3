package cli

import "time"

// settings is what the flags of a command say. Each command has those of its
// flags; the others keep their zero values.
type settings struct {
	// The data.
	keys     int // 0: by the length of values
	values   []string
	keyBytes int
	compress float64
	seed     uint64

	// The work.
	only      []string
	mixes     []string
	ops       uint64
	duration  time.Duration
	limit     time.Duration
	warmup    time.Duration
	threads   int
	rate      float64
	poisson   bool
	writeRate float64
	scan      int
	batch     int
	multiGet  int
	cold      bool
	verify    bool
	speed     float64 // of replay
	info      bool

	// The engines.
	engines     []string
	allEngines  bool // if none is named
	sync        bool
	memory      int64
	memtable    int64
	cache       int64
	filter      int
	compression string

	// Rounds and their comparison.
	rounds         int
	baselineEngine string
	title          string

	// Gates.
	slo        []string
	baseline   string
	maxRegress float64
	confidence float64

	// Outputs.
	json, csv, gobench, html string
	force                    bool

	// The session.
	dir        string
	keep       bool
	quiet      bool
	cpuProfile string
	memProfile string

	// The files command.
	kill  bool
	kills int
}
