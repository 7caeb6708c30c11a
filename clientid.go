// This file holds NewClientID, which makes client identifiers. It has no
// randomness of its own.

package mqttcore

// clientIDLetters are what every server takes in a client identifier
// (MQTT-3.1.3-5).
const clientIDLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// maxClientID is the length of the longest identifier that every server takes,
// and maxClientIDRandom how many bytes it can carry: 62²³ is above 2¹³⁶.
const (
	maxClientID       = 23
	maxClientIDRandom = 17
)

// NewClientID makes a client identifier of 1 to 23 letters and digits, which
// every server takes in every version (MQTT-3.1.3-5): prefix, which may be
// empty, and random, written as a number to the base of 62.
//
// The entropy of the identifier is exactly that of random: different bytes give
// different identifiers, and if all bytes are equally likely, so are the
// identifiers. 16 bytes take 22 characters, 8 bytes 11, and n bytes 43n/32,
// rounded up. Among a million clients whose identifiers have 8 random bytes
// each, two are the same with a probability of 1 in 37 million.
//
// It fails with ErrClientID when prefix has other characters, when there is no
// byte in random, and when both together take more than 23 characters.
func NewClientID(prefix string, random []byte) ([]byte, error) {
	letters := (43*len(random) + 31) / 32
	if len(random) == 0 || len(random) > maxClientIDRandom || len(prefix)+letters > maxClientID {
		return nil, ErrClientID
	}
	for _, c := range []byte(prefix) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return nil, ErrClientID
		}
	}
	var number [maxClientIDRandom]byte // big-endian
	n := number[:copy(number[:], random)]
	id := make([]byte, len(prefix)+letters)
	copy(id, prefix)
	for i := len(id) - 1; i >= len(prefix); i-- {
		var rest uint
		for k, digit := range n {
			rest = rest<<8 | uint(digit)
			n[k], rest = byte(rest/uint(len(clientIDLetters))), rest%uint(len(clientIDLetters))
		}
		id[i] = clientIDLetters[rest]
	}
	return id, nil
}
