package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit statuses.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdin, stdout, stderr)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		printHelp(stdout)
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "kvbench: %v\nRun \"kvbench help\" for usage.\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "kvbench: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "kvbench: %v\n", err)
	return exitFailed
}

func dispatch(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	command := ""
	if len(args) > 0 && (args[0] == "" || args[0][0] != '-') {
		command, args = args[0], args[1:]
	}
	switch command {
	case "help":
		return flag.ErrHelp
	case "":
		c, err := parsePhases(args)
		if err != nil {
			return err
		}
		return inWorkDir(ctx, c, stdout, stderr, runPhases)
	case "files":
		c, err := parseFiles(args)
		if err != nil {
			return err
		}
		if c.kill {
			return inWorkDir(ctx, c, stdout, stderr, runKills)
		}
		return inWorkDir(ctx, c, stdout, stderr, runFiles)
	case childCommand:
		return runChild(args, stdin, stdout)
	}
	return usageErrorf("unknown command %q", command)
}

// session is one run: where it works and where it prints.
type session struct {
	config *config
	dir    string
	out    io.Writer
	bar    *progress
}

// inWorkDir calls body with a folder that is gone afterwards, whatever happens.
func inWorkDir(ctx context.Context, c *config, stdout, stderr io.Writer,
	body func(context.Context, *session) ([]result, error)) (err error) {
	dir := &workDir{}
	ctx, stop := catchInterrupts(ctx, dir)
	defer stop()
	defer func() { err = errors.Join(err, dir.remove()) }()
	if err := dir.make(c.dir, c.force, c.keep); err != nil {
		return err
	}
	stopProfiles, err := startProfiles(c)
	if err != nil {
		return err
	}
	bar := newProgress(stderr, c.quiet)
	results, err := body(ctx, &session{config: c, dir: dir.path, out: stdout, bar: bar})
	bar.clear()
	err = errors.Join(err, stopProfiles())
	if c.jsonPath != "" && len(results) > 0 {
		err = errors.Join(err, saveJSON(c.jsonPath, results))
	}
	if c.keep {
		fmt.Fprintf(stdout, "\nThe data is in %s\n", dir.path)
	}
	return err
}

func saveJSON(path string, results []result) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeJSON(file, results), file.Close())
}

// runPhases runs the chosen phases on a set for each value length.
func runPhases(ctx context.Context, s *session) (all []result, err error) {
	printMachine(s.out, s.config)
	for _, valueBytes := range s.config.values {
		results, err := runSet(ctx, s, valueBytes)
		all = append(all, results...)
		if err != nil {
			return all, err
		}
	}
	fmt.Fprint(s.out, "\n", phaseNotes, writtenNotes, "Every read was checked: all right.\n")
	return all, nil
}

// runSet prints what it has got even when a phase fails.
func runSet(ctx context.Context, s *session, valueBytes int) (results []result, err error) {
	set := newSet(s.config, s.dir, valueBytes, s.bar)
	defer func() { err = errors.Join(err, set.close()) }()
	for _, p := range s.config.phases {
		lines, phaseErr := set.run(ctx, p)
		if phaseErr != nil {
			err = fmt.Errorf("%s: %w", p.name, phaseErr)
			break
		}
		results = append(results, lines...)
	}
	s.bar.clear()
	if len(results) > 0 {
		keys := uint64(set.model.keys())
		printSet(s.out, fmt.Sprintf("%s keys of %d bytes with values of %s: %s of live data",
			count(keys), keyBytes, size(uint64(valueBytes)), size(keys*uint64(keyBytes+valueBytes))), results)
		printMemory(s.out, set.metrics())
	}
	return results, err
}
