// Package space measures the disk that the store takes for the data in it.
package space
