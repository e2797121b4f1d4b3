module github.com/cordwood-db/cordwood/test/isolation

go 1.26.0

require github.com/anishathalye/porcupine v1.3.1

replace github.com/cordwood-db/cordwood => ../..
