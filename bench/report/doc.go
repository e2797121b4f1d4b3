/*
Package report shows a run as text: a table for people, CSV for spreadsheets, Go's
benchmark format for benchstat, and the verdicts of objectives and comparisons.
Everything is made from a result.Run alone, so that a saved run shows as it did
when it was fresh. Package report/html makes pages.

# Numbers

Three digits are shown, since a benchmark knows no more: 1,230,000 operations, 870ns,
1.25µs, 13.0ms. Counts of what was done are exact. MB are a million bytes, MiB are
two to the twentieth. Tables fit into 100 columns.

# Concurrency

All functions only read the run. Several may be called at once.
*/
package report
