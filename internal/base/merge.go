package base

// MergeOperator combines the operands of Merge calls with the value below
// them. Its methods must be pure functions of their arguments: they run at any
// time, in any goroutine, any number of times. They must not keep or change the
// slices they are given; the result may alias dst only.
type MergeOperator interface {
	// Name is stored in the database. A database written with one operator
	// does not open with another.
	Name() string

	// Merge appends to dst the value that operands, oldest first, make of
	// base. hasBase is false where the key had no value.
	Merge(dst, key, base []byte, hasBase bool, operands [][]byte) ([]byte, error)

	// Combine appends to dst one operand with the effect of older followed by
	// newer. ok is false where that is not possible; they then stay apart.
	Combine(dst, key, older, newer []byte) (combined []byte, ok bool)
}
