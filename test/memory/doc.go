// Package memory loads more than fits into memory and checks that the store
// stays below the ceiling that it documents.
package memory
