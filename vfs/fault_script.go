package vfs

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// scriptErrors are the errors that a script can name.
var scriptErrors = map[string]error{
	"ENOSPC": syscall.ENOSPC, "EDQUOT": syscall.EDQUOT, "EIO": syscall.EIO, "EROFS": syscall.EROFS,
	"EACCES": syscall.EACCES, "EMFILE": syscall.EMFILE, "ENOENT": syscall.ENOENT, "injected": ErrInjected,
}

// ParseFaults reads a fault script and returns a decision for Faulty. Each
// line is one fault; blank lines and what follows a # are ignored:
//
//	OPERATIONS PATTERN [WHICH] [ERROR] [short] [sticky] [delay=DURATION]
//
//	write *.wal 3rd ENOSPC sticky     # the third write of a .wal file and all later ones
//	create,rename *.tmp EIO           # the first of either
//	sync * 2nd-4th injected
//	write *.sst every delay=5ms       # no error, only slow
//
// OPERATIONS is one or more names as OpKind.String gives them, separated by
// commas, or any, or mutating. PATTERN is matched as by OnFile. WHICH is an
// ordinal (1st if it is missing), a range of them, or every; each line counts
// by itself. ERROR is ENOSPC, EDQUOT, EIO, EROFS, EACCES, EMFILE, ENOENT or
// injected. A line needs an error or a delay. Of several lines that apply to
// an operation, the first wins.
func ParseFaults(script string) (func(op Op) *Fault, error) {
	var decisions []func(op Op) *Fault
	number := 0
	for line := range strings.Lines(script) {
		number++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		decide, err := parseFault(words)
		if err != nil {
			return nil, fmt.Errorf("vfs: fault script, line %d: %w", number, err)
		}
		decisions = append(decisions, decide)
	}
	return FirstOf(decisions...), nil
}

// parseFault reads one line.
func parseFault(words []string) (func(op Op) *Fault, error) {
	if len(words) < 2 {
		return nil, fmt.Errorf("want OPERATIONS PATTERN, got %q", strings.Join(words, " "))
	}
	ops, err := parseOps(words[0])
	if err != nil {
		return nil, err
	}
	if _, err := filepath.Match(words[1], ""); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", words[1], err)
	}
	var fault Fault
	first, last, sticky, ranged := int64(1), int64(1), false, false
	for _, word := range words[2:] {
		delay, isDelay := strings.CutPrefix(word, "delay=")
		switch {
		case isDelay:
			if fault.Delay, err = time.ParseDuration(delay); err != nil {
				return nil, fmt.Errorf("delay: %w", err)
			}
		case word == "short":
			fault.Short = true
		case word == "sticky":
			sticky = true
		case scriptErrors[word] != nil && fault.Err == nil:
			fault.Err = scriptErrors[word]
		case !ranged && (word == "every" || word[0] >= '0' && word[0] <= '9'):
			ranged = true
			if first, last, err = parseRange(word); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("unknown or repeated word %q", word)
		}
	}
	if fault.Err == nil && (fault.Delay <= 0 || fault.Short) {
		return nil, fmt.Errorf("neither an error nor a mere delay")
	}
	if sticky {
		last = math.MaxInt64
	}
	return FaultRange(first, last, ops.And(OnFile(words[1])), fault), nil
}

// parseOps reads "write,sync", "any" or "mutating".
func parseOps(word string) (Filter, error) {
	switch word {
	case "any":
		return AnyOp, nil
	case "mutating":
		return Mutating, nil
	}
	var kinds []OpKind
	for name := range strings.SplitSeq(word, ",") {
		k := slices.Index(opNames[:], name)
		if k < 0 {
			return nil, fmt.Errorf("unknown operation %q", name)
		}
		kinds = append(kinds, OpKind(k))
	}
	return OfKind(kinds...), nil
}

// parseRange reads "every", "3rd" or "3rd-7th".
func parseRange(word string) (first, last int64, err error) {
	if word == "every" {
		return 1, math.MaxInt64, nil
	}
	from, to, isRange := strings.Cut(word, "-")
	if first, err = parseOrdinal(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = parseOrdinal(to); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("range %q is empty", word)
	}
	return first, last, nil
}

// parseOrdinal reads "1st", "2nd", "3rd", "4th", "11th", with an ending that
// need not be the right one of these.
func parseOrdinal(word string) (int64, error) {
	if len(word) > 2 && slices.Contains([]string{"st", "nd", "rd", "th"}, word[len(word)-2:]) {
		if n, err := strconv.ParseInt(word[:len(word)-2], 10, 64); err == nil && n > 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("want an ordinal such as 3rd, got %q", word)
}
