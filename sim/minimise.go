// This file holds the search for a smaller tape. What a tape means to a run is
// not known here.

package sim

import "bytes"

// minimiseTries bounds the search: how many tapes are tried.
const minimiseTries = 10_000

// Minimise looks for a tape that is shorter, or has smaller bytes, than the
// given one and for which fails is still true. It takes pieces out, sets pieces
// to 0, at which nothing happens, and lowers single bytes, until nothing helps
// or some thousand tapes were tried. The same tape and the same fails give the
// same result. The tape is not changed; when fails is false for it, it is the
// result.
//
// fails gets a tape that it must not keep or change.
func Minimise(tape []byte, fails func(tape []byte) bool) []byte {
	m := minimiser{best: bytes.Clone(tape), fails: fails, tries: minimiseTries}
	if !m.try(m.best) {
		return m.best
	}
	for size := 0; size != m.size() && m.tries > 0; {
		size = m.size()
		for n := len(m.best) / 2; n > 0; n /= 2 {
			m.pieces(n)
		}
		m.lower()
	}
	return m.best
}

type minimiser struct {
	best, next []byte
	fails      func([]byte) bool
	tries      int
}

// size is what gets smaller: the length, then the bytes.
func (m *minimiser) size() int {
	sum := len(m.best) << 8
	for _, b := range m.best {
		sum += int(b)
	}
	return sum
}

// try takes b for the best when it fails, too.
func (m *minimiser) try(b []byte) bool {
	if m.tries == 0 {
		return false
	}
	m.tries--
	if !m.fails(b) {
		return false
	}
	m.best = append(m.best[:0], b...)
	return true
}

// pieces takes out pieces of n bytes, or sets them to 0.
func (m *minimiser) pieces(n int) {
	for i := 0; i+n <= len(m.best) && m.tries > 0; {
		m.next = append(append(m.next[:0], m.best[:i]...), m.best[i+n:]...)
		if m.try(m.next) {
			continue // the next piece has moved here
		}
		m.set(i, n)
		i += n
	}
}

// set sets n bytes to 0.
func (m *minimiser) set(i, n int) {
	m.next = append(m.next[:0], m.best...)
	clear(m.next[i : i+n])
	if !bytes.Equal(m.next, m.best) {
		m.try(m.next)
	}
}

// lower makes single bytes smaller: to a half, and by one.
func (m *minimiser) lower() {
	for i := range m.best {
		for i < len(m.best) && m.best[i] > 0 {
			m.next = append(m.next[:0], m.best...)
			if m.next[i] /= 2; m.try(m.next) {
				continue
			}
			m.next[i] = m.best[i] - 1
			if !m.try(m.next) {
				break
			}
		}
	}
}
