package sim

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMinimise(t *testing.T) {
	noise := make([]byte, 600)
	for i, src := 0, Seed(1); i < len(noise); i++ {
		noise[i] = byte(1 + src.Intn(255))
	}
	with := func(at int, piece ...byte) []byte {
		b := bytes.Clone(noise)
		copy(b[at:], piece)
		return b
	}
	for _, c := range []struct {
		name  string
		tape  []byte
		fails func([]byte) bool
		want  []byte
	}{
		{"fails whatever it is", noise, func([]byte) bool { return true }, []byte{}},
		{"does not fail", []byte{1, 2, 3}, func([]byte) bool { return false }, []byte{1, 2, 3}},
		{"length", noise, func(b []byte) bool { return len(b) >= 37 }, make([]byte, 37)},
		{"a large byte somewhere", with(411, 255), func(b []byte) bool { return bytes.IndexByte(b, 255) >= 0 }, []byte{255}},
		{"a byte at its place", with(5, 200), func(b []byte) bool { return len(b) > 5 && b[5] > 130 }, []byte{0, 0, 0, 0, 0, 131}},
		{"two bytes, far apart", with(100, 7, 9), func(b []byte) bool {
			i := bytes.IndexByte(b, 7)
			return i >= 0 && bytes.IndexByte(b[i:], 9) > 0
		}, []byte{7, 9}},
		{"nothing", nil, func([]byte) bool { return true }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, tries := bytes.Clone(c.tape), 0
			got := Minimise(c.tape, func(b []byte) bool { tries++; return c.fails(b) })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(before, c.tape) {
				t.Error("the tape was changed")
			}
			if tries > minimiseTries {
				t.Errorf("%d tries", tries)
			}
		})
	}
}

// TestMinimiseEnds: also when every other tape fails.
func TestMinimiseEnds(t *testing.T) {
	src, tries := Seed(2), 0
	tape := bytes.Repeat([]byte{255}, 20000)
	got := Minimise(tape, func(b []byte) bool { tries++; return tries == 1 || src.Intn(50) == 0 })
	if tries > minimiseTries || len(got) >= len(tape) {
		t.Errorf("%d tries, %d bytes", tries, len(got))
	}
}
