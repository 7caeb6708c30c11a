// Package interop holds what needs software of others: tests of the core
// against real brokers, a comparison of the simulator's model broker with one
// of them (differences.md), and a demonstration. It is a module of its own, so
// that the core keeps its promise to import the standard library only. It has
// no code to import; the brokers are started by the package brokers.
package interop
