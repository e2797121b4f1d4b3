/*
Package measuretest has what tests of timing need instead of real time.

A Clock shows only what the test has done to it, so that latencies, seconds and
stalls come out as exact numbers on any machine. It is safe for concurrent use.
*/
package measuretest
