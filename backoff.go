// This file holds Backoff: how long to wait before connecting again. It knows
// no client, has no clock and no randomness of its own.

package mqttcore

import (
	"math/bits"
	"time"
)

// Backoff says how long to wait before the next attempt to connect. Each pause
// is drawn at random from Min to a ceiling (full jitter), so that the clients
// of a server that failed do not all come back at once. The ceiling is Min
// times Factor at first, and grows by Factor with each attempt until it is Max.
//
// The zero value is ready: 100 ms, 1 min, 2. It is a value: a copy goes on by
// itself, and one of the same fields, fed the same numbers, gives the same
// pauses.
//
// What the server asks for is the caller's to weigh. After a refusal with
// ReasonServerBusy or ReasonConnectionRateExceeded a larger Min is polite;
// ReasonUseAnotherServer and ReasonServerMoved name another server, which may
// be tried at once.
type Backoff struct {
	Min    time.Duration // the shortest pause; 0 and less: 100 ms
	Max    time.Duration // the longest pause, also where Min is longer; 0 and less: 1 min
	Factor int           // 1 and less: 2

	ceiling time.Duration // of the last pause; 0: there was none
}

const (
	defaultBackoffMin    = 100 * time.Millisecond
	defaultBackoffMax    = time.Minute
	defaultBackoffFactor = 2
)

// Next is the next pause. random is any number of 64 random bits; those of a
// cryptographic source are not needed.
func (b *Backoff) Next(random uint64) time.Duration {
	lo, hi, factor := b.Min, b.Max, time.Duration(b.Factor)
	if lo <= 0 {
		lo = defaultBackoffMin
	}
	if hi <= 0 {
		hi = defaultBackoffMax
	}
	if factor <= 1 {
		factor = defaultBackoffFactor
	}
	lo = min(lo, hi)
	b.ceiling = max(b.ceiling, lo)
	if b.ceiling > hi/factor {
		b.ceiling = hi
	} else {
		b.ceiling *= factor
	}
	// The high half of the product is uniform, but for less than one part in
	// 2⁶⁴ divided by the span in nanoseconds.
	above, _ := bits.Mul64(random, uint64(b.ceiling-lo)+1)
	return lo + time.Duration(above)
}

// Reset makes the next pause a first one again: call it when a connection was
// accepted, or better, when it has lasted for a while.
func (b *Backoff) Reset() { b.ceiling = 0 }
