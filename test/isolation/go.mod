module github.com/cordwood-db/cordwood/test/isolation

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/cordwood-db/cordwood v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dgraph-io/ristretto/v2 v2.4.2 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/google/btree v1.1.3 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/cordwood-db/cordwood => ../..
