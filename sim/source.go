package sim

import "math/rand/v2"

// Source is the one source of entropy of a world. The implementations are
// [Seed], for soaking, and [Tape], for fuzzing.
type Source interface {
	// Intn returns a number from 0 up to n-1; n is at least 1. 0 is the choice by
	// which nothing happens.
	Intn(n int) int
}

// Seed is an endless source: the same seed, the same numbers.
func Seed(seed uint64) Source {
	return &seeded{rand.New(rand.NewPCG(seed, 0x9E3779B97F4A7C15))}
}

type seeded struct{ r *rand.Rand }

func (s *seeded) Intn(n int) int { return s.r.IntN(n) }

// Tape is a source that reads b, and is 0 for ever when b has come to its end:
// what makes the tape shorter or smaller makes the scenario simpler, which is
// how a fuzzer finds the simplest one that fails.
func Tape(b []byte) Source { return &tape{b} }

type tape struct{ b []byte }

func (t *tape) Intn(n int) int {
	v, scale := 0, 1
	for scale < n {
		if len(t.b) == 0 {
			break
		}
		v |= int(t.b[0]) * scale
		t.b = t.b[1:]
		scale <<= 8
	}
	return v % n
}

// Recorder is a source that keeps what another one gave, so that the run can be
// replayed, and made smaller, as a [Tape].
type Recorder struct {
	Source Source
	Taken  []byte // the tape so far
}

// Intn implements [Source].
func (r *Recorder) Intn(n int) int {
	v := r.Source.Intn(n)
	for scale, rest := 1, v; scale < n; scale <<= 8 {
		r.Taken = append(r.Taken, byte(rest))
		rest >>= 8
	}
	return v
}
