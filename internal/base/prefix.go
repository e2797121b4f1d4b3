package base

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// PrefixExtractor finds the prefix of a key that filters of tables remember, so
// that a read of all keys with one prefix passes over tables without them. Its
// methods must be pure functions of their arguments: they run at any time, in
// any goroutine, any number of times, and keep or change no key.
type PrefixExtractor interface {
	// Name is stored in each table. Filters are used by an extractor of the
	// same name only, so that one that finds other prefixes needs another name.
	Name() string

	// Prefix is the length of the prefix of key, at most len(key). ok is false
	// if key has none. The bytes of a prefix decide: every key that begins with
	// the prefix of another key has that same prefix.
	Prefix(key []byte) (n int, ok bool)
}

// PrefixOf is the prefix that e finds in key, which it aliases. ok is false if
// there is none, and for a length that key does not have.
func PrefixOf(e PrefixExtractor, key []byte) (prefix []byte, ok bool) {
	n, ok := e.Prefix(key)
	if !ok || n < 0 || n > len(key) {
		return nil, false
	}
	return key[:n:n], true
}

// Names of the ready-made extractors begin like this; a number follows, decimal
// or two hexadecimal digits. Part of the file format.
const (
	fixedPrefixName     = "cordwood.prefix.fixed."
	delimitedPrefixName = "cordwood.prefix.delimited."
)

type fixedPrefix int

// FixedPrefix is the extractor of the first n bytes; shorter keys have no
// prefix. An n below 0 counts as 0: all keys have the empty prefix.
func FixedPrefix(n int) PrefixExtractor { return fixedPrefix(max(n, 0)) }

func (p fixedPrefix) Name() string { return fixedPrefixName + strconv.Itoa(int(p)) }

func (p fixedPrefix) Prefix(key []byte) (n int, ok bool) { return int(p), len(key) >= int(p) }

type delimitedPrefix byte

// DelimitedPrefix is the extractor of the bytes up to and with the first b; keys
// without b have no prefix.
func DelimitedPrefix(b byte) PrefixExtractor { return delimitedPrefix(b) }

func (p delimitedPrefix) Name() string { return fmt.Sprintf("%s%02x", delimitedPrefixName, byte(p)) }

func (p delimitedPrefix) Prefix(key []byte) (n int, ok bool) {
	i := bytes.IndexByte(key, byte(p))
	return i + 1, i >= 0
}

// ReadyPrefixExtractor is the ready-made extractor of that name, nil if there is
// none.
func ReadyPrefixExtractor(name string) PrefixExtractor {
	var e PrefixExtractor
	if digits, ok := strings.CutPrefix(name, fixedPrefixName); ok {
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil {
			return nil
		}
		e = FixedPrefix(int(n))
	} else if digits, ok := strings.CutPrefix(name, delimitedPrefixName); ok {
		b, err := strconv.ParseUint(digits, 16, 8)
		if err != nil {
			return nil
		}
		e = DelimitedPrefix(byte(b))
	}
	if e == nil || e.Name() != name {
		return nil
	}
	return e
}
