// This file holds what is kept of the states that were found: a hash of each.

package sim

import (
	"encoding/binary"
	"math/bits"
)

// sum is a hash of a state. It is the same in every process.
type sum [2]uint64

// hash is the sum of b. Each half takes in eight bytes at a time with a
// multiplication of its own, whose upper part comes back into the lower one.
func hash(b []byte) sum {
	h := sum{0x9E3779B97F4A7C15 ^ uint64(len(b)), 0xC2B2AE3D27D4EB4F + uint64(len(b))}
	for len(b) >= 8 {
		h.mix(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		h.mix(binary.LittleEndian.Uint64(last[:]))
	}
	h.mix(0)
	h.mix(0)
	return h
}

func (h *sum) mix(v uint64) {
	hi, lo := bits.Mul64(h[0]^v, 0xD6E8FEB86659FD93)
	h[0] = hi ^ lo + bits.RotateLeft64(h[1], 29)
	hi, lo = bits.Mul64(h[1]+v, 0xA0761D6478BD642F)
	h[1] = hi ^ lo ^ bits.RotateLeft64(h[0], 41)
}

// seen is the set of states by their sums, each with its number: a table with
// open addressing.
type seen struct {
	sums   []sum
	states []uint32 // number + 1; 0: the place is free
	n      int
}

// add enters a state with the number that it gets when it is new, and returns
// the one that it has.
func (t *seen) add(s sum, state uint32) (number uint32, fresh bool) {
	if 4*t.n >= 3*len(t.sums) {
		t.grow()
	}
	at := t.find(s)
	if n := t.states[at]; n != 0 {
		return n - 1, false
	}
	t.sums[at], t.states[at] = s, state+1
	t.n++
	return state, true
}

// find is the place of a sum, or the free one where it would be.
func (t *seen) find(s sum) uint64 {
	mask := uint64(len(t.sums) - 1)
	at := s[0] & mask
	for t.states[at] != 0 && t.sums[at] != s {
		at = (at + 1) & mask
	}
	return at
}

func (t *seen) grow() {
	old := *t
	size := max(1<<10, 2*len(old.sums))
	t.sums, t.states = make([]sum, size), make([]uint32, size)
	for i, n := range old.states {
		if n != 0 {
			at := t.find(old.sums[i])
			t.sums[at], t.states[at] = old.sums[i], n
		}
	}
}
