# What .ci/run does, in parts.

.PHONY: test race lint bench ci

test:
	go test ./...

race:
	go test -race -short ./...

lint:
	gofmt -l . && go vet ./... && go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench:
	go run ./cmd/kvbench

ci:
	.ci/run
