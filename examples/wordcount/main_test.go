package main

import (
	"strings"
	"testing"
)

func TestWordsAreCounted(t *testing.T) {
	var out strings.Builder
	text := strings.Repeat("A rose, is a rose is a rose! ", 500) // more than a batch
	if err := run(nil, strings.NewReader(text), &out); err != nil {
		t.Fatal(err)
	}
	if want := "  1500 a\n  1500 rose\n  1000 is\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestAMissingFileIsReported(t *testing.T) {
	if err := run([]string{"no such file"}, nil, nil); err == nil {
		t.Error("no error")
	}
}
