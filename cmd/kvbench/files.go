package main

import (
	"context"
	"io"
)

const childCommand = "files-child"

func runFiles(ctx context.Context, s *session) ([]result, error) { return nil, nil }
func runKills(ctx context.Context, s *session) ([]result, error) { return nil, nil }
func runChild(args []string, in io.Reader, out io.Writer) error  { return nil }
