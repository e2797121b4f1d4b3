module github.com/cordwood-db/cordwood/bench/peers

go 1.26.0

replace github.com/cordwood-db/cordwood/bench => ../

replace github.com/cordwood-db/cordwood => ../..

require github.com/cordwood-db/cordwood/bench v0.0.0-00010101000000-000000000000

require github.com/google/btree v1.1.3 // indirect
