//go:build invariants || race

package invariants

// Enabled says whether the checks run.
const Enabled = true
