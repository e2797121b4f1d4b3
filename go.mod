module github.com/cordwood-db/cordwood

go 1.26.0

require (
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/dgraph-io/ristretto/v2 v2.4.2
	github.com/google/btree v1.1.3
	github.com/klauspost/compress v1.20.3
	golang.org/x/sys v0.49.0
)

require github.com/dustin/go-humanize v1.0.1 // indirect
