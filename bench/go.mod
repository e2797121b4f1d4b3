module github.com/cordwood-db/cordwood/bench

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/google/btree v1.1.3
)

replace github.com/cordwood-db/cordwood => ../
