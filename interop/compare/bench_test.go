// This file times the libraries. It checks nothing: packets_test.go does.

package compare

import (
	"flag"
	"fmt"
	"iter"
	"os"
	"runtime"
	"testing"
)

// TestMain tells, before benchmarks, what they are of, in the form that
// benchmark results have for that.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		versions, err := required()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("go:", runtime.Version())
		for _, l := range libraries {
			if l.module != "" {
				fmt.Println("module:", l.module, versions[l.module])
			}
		}
	}
	os.Exit(m.Run())
}

// A timing is one benchmark.
type timing struct {
	direction, row, library string
	run                     func(*testing.B)
}

// timings yields all benchmarks: every library that knows the packet, packet by
// packet. All calls go through a function value, the core's too.
func timings(direction string) iter.Seq[timing] {
	return func(yield func(timing) bool) {
		for _, r := range rows {
			for l := range r.measured {
				t := timing{direction: direction, row: r.name, library: l.name}
				if direction == "Decode" && l.decode != nil {
					t.run = func(b *testing.B) { timeDecode(b, l.decode(r.dialect), r.wire) }
				}
				if direction == "Encode" && r.packets == 1 {
					if encode, err := l.encode(r.dialect, r.wire); err != nil || encode != nil {
						t.run = func(b *testing.B) { timeEncode(b, encode, err) }
					}
				}
				if t.run != nil && !yield(t) {
					return
				}
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for t := range timings("Decode") {
		b.Run(t.row+"/"+t.library, t.run)
	}
}

func BenchmarkEncode(b *testing.B) {
	for t := range timings("Encode") {
		b.Run(t.row+"/"+t.library, t.run)
	}
}

func timeDecode(b *testing.B, decode func([]byte) (int, error), wire []byte) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(wire); err != nil {
			b.Fatal(err)
		}
	}
}

func timeEncode(b *testing.B, encode func() ([]byte, error), err error) {
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encode(); err != nil {
			b.Fatal(err)
		}
	}
}
