// Package archtest checks the shape of the source tree: what a reviewer would
// otherwise have to look for in every change. It holds nothing but tests, which
// parse every Go file of the repository, nested modules and all platforms
// included; files that git does not know yet count too.
//
// # The rules
//
//  1. Layers: a package imports only what the table in layers_test.go allows
//     it. ARCHITECTURE.md shows the same table.
//  2. Below package db nothing starts a goroutine, reads the clock, writes a
//     log, opens a file other than through vfs, or keeps state in package
//     variables other than pools and tables.
//  3. Every package has a doc.go that says more than its name, and every
//     exported identifier has a comment.
//  4. A function has at most 70 lines, a file at most 600, tests apart.
//  5. No package is named after a drawer (util, common, misc).
//  6. The library has at most five direct dependencies.
//  7. Every kind of file has a page under docs/format and a golden test.
//  8. The README's first program is the example that go test compiles and runs.
//
// A rule with an exception lists it by name, with the reason, next to the rule.
// Each rule has been seen to fail on a tree that breaks it: rules_test.go plants
// such a tree for every one.
package archtest
