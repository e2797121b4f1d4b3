// Package manifest records which files make up the database, and hands out
// that record as immutable, reference-counted values.
//
// # Nouns
//
//   - A [Version] is the set of live tables and value-log files at one moment.
//     It never changes; readers hold a reference while they use it.
//   - A [Keyspace] is a named set of keys with tables of its own. Its number is
//     what the other formats know it by. Number 0, without a name, is always
//     there.
//   - A [Tree] is a keyspace with its tables, by level. Versions share it until
//     an edit touches it.
//   - An [Edit] is the difference between a version and the next one. Every
//     flush, compaction and garbage collection ends in exactly one edit.
//   - The MANIFEST is a log of edits. Its first record is a snapshot: an edit
//     that makes the whole state out of nothing.
//   - CURRENT is a small file that names the MANIFEST in use.
//   - The [Set] owns CURRENT, the MANIFEST, the newest version and the counters
//     for file and sequence numbers.
//   - A logical value-log file is the name that pointers carry for ever; its
//     records lie in a physical file, several logical ones in one physical file
//     after garbage collection.
//
// # Concurrency
//
// Everything exported is safe for concurrent use, except that an [Edit] belongs
// to one goroutine until [Set.Apply] has returned. Edits are applied one at a
// time under a mutex of the Set, which is held across their I/O. Taking and
// releasing versions never waits for that I/O.
//
// # Invariants
//
//  1. An edit takes effect in memory only after it is durable. Where that could
//     not be made sure, Apply says so with an [UncertainError], and the files
//     the edit named stay until the doubt is gone.
//  2. An edit that does not fit the newest version is refused with an
//     [EditError] before a byte is written; one whose record would not decode is
//     not written either.
//  3. CURRENT always names a MANIFEST whose snapshot is durable, so a crash
//     leaves the state before an edit or after it, never another one.
//  4. Loading writes nothing. The first edit after it starts a new MANIFEST.
//  5. A file is reported as obsolete once, when neither the newest version nor
//     any referenced one names it, and no MANIFEST that a crash could bring
//     back does.
//  6. Within a level of 1 or more, tables are ascending and no user key lies in
//     two of them; in level 0 they are ordered newest first, and tables that
//     share keys share no sequence numbers.
//  7. File numbers are never given out twice, not even across a crash. Neither
//     are keyspace numbers that an edit has added.
//  8. A table is in the tree of its keyspace and stays in it. Names of keyspaces
//     that are not dropped are unique. A keyspace is removed only after it was
//     dropped, in another edit, and has no tables.
//
// # Format
//
// docs/format/manifest.md specifies CURRENT, the MANIFEST and the encoding of
// edits. The framing of MANIFEST records is that of internal/record.
package manifest
