// This file tests Backoff.

package mqttcore

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The smallest and the largest random number give the bounds of each pause.
func TestBackoffBounds(t *testing.T) {
	const s = time.Second
	const longest = time.Duration(1<<63 - 1)
	for _, c := range []struct {
		name     string
		b        Backoff
		min      time.Duration
		ceilings []time.Duration
	}{
		{"zero value", Backoff{}, s / 10, []time.Duration{s / 5, 2 * s / 5, 4 * s / 5}},
		{"up to Max", Backoff{Min: s, Max: 7 * s, Factor: 2}, s, []time.Duration{2 * s, 4 * s, 7 * s, 7 * s}},
		{"exactly Max", Backoff{Min: s, Max: 9 * s, Factor: 3}, s, []time.Duration{3 * s, 9 * s, 9 * s}},
		{"Factor 1 is 2", Backoff{Min: s, Factor: 1}, s, []time.Duration{2 * s, 4 * s}},
		{"negative fields", Backoff{Min: -1, Max: -1, Factor: -1}, s / 10, []time.Duration{s / 5, 2 * s / 5}},
		{"Max under Min", Backoff{Min: 5 * s, Max: s}, s, []time.Duration{s, s}},
		{"one pause", Backoff{Min: s, Max: s}, s, []time.Duration{s, s}},
		{"no overflow", Backoff{Min: 1 << 20, Max: longest, Factor: 1 << 30}, 1 << 20, []time.Duration{1 << 50, longest, longest}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lo, hi := c.b, c.b
			for round := range 2 {
				for i, want := range c.ceilings {
					if got := lo.Next(0); got != c.min {
						t.Errorf("round %d, pause %d: shortest %v, want %v", round, i, got, c.min)
					}
					if got := hi.Next(1<<64 - 1); got != want {
						t.Errorf("round %d, pause %d: longest %v, want %v", round, i, got, want)
					}
				}
				lo.Reset()
				hi.Reset()
			}
		})
	}
}

// All of the range is drawn evenly: each tenth of it gets its share.
func TestBackoffEven(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var tenths [10]int
	const rounds = 100_000
	for range rounds {
		b := Backoff{Min: time.Second, Max: time.Hour, Factor: 3}
		b.Next(r.Uint64())
		d := b.Next(r.Uint64())
		if d < time.Second || d > 9*time.Second {
			t.Fatal(d)
		}
		tenths[min(9, (d-time.Second)/(800*time.Millisecond))]++
	}
	for i, n := range tenths {
		if n < rounds/10*97/100 || n > rounds/10*103/100 {
			t.Errorf("tenth %d: %d of %d", i, n, rounds)
		}
	}
}

func TestBackoffIsAValue(t *testing.T) {
	var a Backoff
	a.Next(1 << 62)
	b := a
	var first, second []time.Duration
	for i := range uint64(8) {
		first = append(first, a.Next(i<<61))
	}
	for i := range uint64(8) {
		second = append(second, b.Next(i<<61))
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
}
