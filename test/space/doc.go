// Package space measures the disk that the store takes for the data in it.
//
// One test overwrites values of the value log at random until the data set has
// been replaced ten times, and adds up all files but the WAL again and again on
// the way: the worst sum has to stay within a quarter over the live bytes, plus
// the files that take writes. Another deletes everything, one by one or as a
// range, and waits for the disk to come back.
//
// In a soak 200 MiB are live, with CORDWOOD_CI half of that, else a sixth, and
// with -short nothing.
package space
