package db

// Durability is what a commit waits for.
type Durability uint8

const (
	// DefaultDurability is Options.Durability.
	DefaultDurability Durability = iota
	// NoSync returns when the commit survives the death of the process.
	NoSync
	// Sync returns when the commit, and every earlier one, survives power loss.
	Sync
)
