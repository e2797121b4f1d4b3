/*
Package files stores a real file tree in an engine and compares every byte that
comes back, also while the process that stores it is killed again and again.

# Nouns

  - A Tree is what was found below a folder: regular files, by their paths, which
    are the keys. Their contents are the values.
  - An oddity is what could not be compared as it should: an entry that is no
    regular file, a file that was changed since it was stored.
  - A victim is a child process that stores files on request, says which ones were
    acknowledged, and is killed.

# What must hold

After a reopen every file is there, once, in order, byte for byte, and nothing else.
After a kill the same holds for every file whose Put had returned; others are there
whole or not at all. A file that somebody changed meanwhile may differ from the tree
of now, but not from what was stored. Everything else is a *workload.WrongAnswer.

# Concurrency

Run and Kill start goroutines of their own, which have ended when they return.
*/
package files
