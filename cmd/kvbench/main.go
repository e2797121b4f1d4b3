package main

import (
	"os"

	"github.com/cordwood-db/cordwood/bench/cli"
	_ "github.com/cordwood-db/cordwood/bench/engine/cordwood" // the engine to measure
)

func main() { os.Exit(cli.Main("kvbench")) }
