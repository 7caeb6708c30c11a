// This file tests NewClientID.

package mqttcore

import (
	"bytes"
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestNewClientID(t *testing.T) {
	for _, c := range []struct {
		name, prefix string
		random       []byte
		want         string // empty: ErrClientID
	}{
		{"zero", "", []byte{0}, "00"},
		{"one byte", "", []byte{61}, "0z"},
		{"carry", "", []byte{62}, "10"},
		{"largest byte", "", []byte{255}, "47"},
		{"two bytes", "", []byte{1, 0}, "048"},
		{"leading zeros stay", "", []byte{0, 0, 0, 1}, "000001"},
		{"prefix", "pump", []byte{62}, "pump10"},
		{"longest", "", bytes.Repeat([]byte{0}, 17), "00000000000000000000000"},
		{"longest with a prefix", "x", bytes.Repeat([]byte{0}, 16), "x0000000000000000000000"},
		{"no randomness", "pump", nil, ""},
		{"too much", "", make([]byte, 18), ""},
		{"very much", "", make([]byte, 1<<20), ""},
		{"too much with a prefix", "xy", make([]byte, 16), ""},
		{"blank", "a b", []byte{1}, ""},
		{"below 0", "/", []byte{1}, ""},
		{"above 9", ":", []byte{1}, ""},
		{"below A", "@", []byte{1}, ""},
		{"above Z", "[", []byte{1}, ""},
		{"below a", "`", []byte{1}, ""},
		{"above z", "{", []byte{1}, ""},
		{"not ASCII", "é", []byte{1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := bytes.Clone(c.random)
			id, err := NewClientID(c.prefix, c.random)
			if string(id) != c.want || errors.Is(err, ErrClientID) != (c.want == "") {
				t.Errorf("got %q, %v", id, err)
			}
			if !bytes.Equal(before, c.random) {
				t.Error("the random bytes changed")
			}
		})
	}
}

// Nothing of the randomness is lost: the bytes can be had back, for every
// number of bytes, the greatest value included, and no letter is to spare.
func TestNewClientIDKeepsAllEntropy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	value := map[byte]int64{}
	for i, c := range []byte(clientIDLetters) {
		value[c] = int64(i)
	}
	for n := 1; n <= maxClientIDRandom; n++ {
		random := bytes.Repeat([]byte{0xFF}, n)
		for round := range 50 {
			id, err := NewClientID("", random)
			if err != nil {
				t.Fatal(err)
			}
			x := new(big.Int)
			for _, c := range id {
				x.Add(x.Mul(x, big.NewInt(62)), big.NewInt(value[c]))
			}
			if got := x.FillBytes(make([]byte, n)); !bytes.Equal(got, random) {
				t.Fatalf("%x became %s, which is %x", random, id, got)
			}
			if round == 0 && id[0] == '0' {
				t.Errorf("%d bytes: %s has a letter too many", n, id)
			}
			for i := range random {
				random[i] = byte(r.Uint32())
			}
		}
	}
}

// Every version takes such an identifier.
func TestNewClientIDConnects(t *testing.T) {
	id, err := NewClientID("", bytes.Repeat([]byte{0xAB}, 17))
	if err != nil || len(id) != 23 {
		t.Fatal(string(id), err)
	}
	for _, v := range []Version{V31, V311, V5} {
		if _, err := NewClient(Config{Version: v, ClientID: id, CleanStart: true}, nil); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
}
