//go:build !race

package process

// raceDetector says that the test runs under the race detector.
const raceDetector = false
