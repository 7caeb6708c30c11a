// This file holds the rules of strings, topic names and topic filters, and how
// they match. It must not know packets.

package mqttcore

import (
	"bytes"
	"math/bits"
	"unicode/utf8"
)

// maxString is the length in bytes of the longest string.
const maxString = 0xFFFF

const (
	eachByte  = 0x0101010101010101
	eachHigh  = 0x8080808080808080
	eachComma = ',' * eachByte
	eachHash  = '#' * eachByte
	eachPlus8 = ('#' ^ '+') * eachByte // the one bit in which # and + differ
)

// load64 reads eight bytes; the compiler makes one load of it.
func load64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

func load32(b []byte) uint64 {
	_ = b[3]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24
}

// wildcards has the high bit of every byte of v set that is # or +. A byte
// above 0x7F may have it too, and the one above a wildcard.
func wildcards(v uint64) uint64 { return (v&^eachPlus8 ^ eachHash) - eachByte }

// plainText reports whether every byte of b is ASCII and not 0: nearly all
// strings are, and need no further check.
func plainText(b []byte) bool { return noneBelow(b, eachByte) }

// plainTopic reports whether every byte of b is ASCII and none below the comma,
// where 0 and both wildcards are: nearly all topic names are so, and need no
// further check.
func plainTopic(b []byte) bool { return noneBelow(b, eachComma) }

// noneBelow reports whether every byte of b is ASCII and none below the bytes
// of least, which are the same; it looks at sixteen bytes at a time.
func noneBelow(b []byte, least uint64) bool {
	var bad uint64
	switch {
	case len(b) >= 16:
		bad = below(load64(b[len(b)-16:]), least) | below(load64(b[len(b)-8:]), least)
		for ; len(b) > 16; b = b[16:] { // some of the last come twice
			bad |= below(load64(b), least) | below(load64(b[8:]), least)
		}
	case len(b) >= 8:
		bad = below(load64(b), least) | below(load64(b[len(b)-8:]), least)
	case len(b) >= 4:
		bad = below(load32(b)|load32(b[len(b)-4:])<<32, least)
	default:
		for _, c := range b {
			bad |= below(uint64(c), least&0xFF)
		}
		return bad&0x80 == 0
	}
	return bad&eachHigh == 0
}

// below has a high bit set when a byte of v is below that of least, or above
// 0x7F: a byte borrows from the next one only when it is below itself.
func below(v, least uint64) uint64 { return (v - least) | v }

// asciiName reports whether b is ASCII without 0 and wildcards: so are nearly
// all topic names that plainTopic does not take, those with a space or a dollar.
func asciiName(b []byte) bool {
	if len(b) < 8 {
		return plainText(b) && !hasWildcard(b)
	}
	v := load64(b[len(b)-8:])
	bad := below(v, eachByte) | wildcards(v)
	for ; len(b) > 8; b = b[8:] {
		v := load64(b)
		bad |= below(v, eachByte) | wildcards(v)
	}
	return bad&eachHigh == 0
}

// plainFilter reports whether b is ASCII without 0 and has its wildcards, if
// any, where they belong: then it is a topic filter, but for shared ones.
func plainFilter(b []byte) bool {
	var bad uint64
	if len(b) >= 8 {
		for i := 0; ; i += 8 {
			i = min(i, len(b)-8)
			v := load64(b[i:])
			bad |= below(v, eachByte)
			for w := wildcards(v) & eachHigh; w != 0; w &= w - 1 {
				if !wildcardFits(b, i+bits.TrailingZeros64(w)/8) {
					return false
				}
			}
			if i == len(b)-8 {
				return bad&eachHigh == 0
			}
		}
	}
	for i, c := range b {
		bad |= uint64(c-1) | uint64(c)
		if !wildcardFits(b, i) {
			return false
		}
	}
	return bad&0x80 == 0 && len(b) > 0
}

// wildcardFits reports whether b[i], if a wildcard, is a whole level, and a #
// the last.
func wildcardFits(b []byte, i int) bool {
	c := b[i]
	return c&^8 != '#' ||
		(i == 0 || b[i-1] == '/') && (i == len(b)-1 || c == '+' && b[i+1] == '/')
}

// stringFault is the rule that forbids b as a string. 3.1 has no rules on what
// a string may hold.
func stringFault(b []byte, d Dialect) rule {
	if d.Options&RefuseControlChars == 0 && (d.Version == V31 || plainText(b)) {
		return ruleNone
	}
	return stringFaultSlow(b, d)
}

// stringFaultSlow looks at each character.
func stringFaultSlow(b []byte, d Dialect) rule {
	if d.Version != V31 && !utf8.Valid(b) {
		return ruleUTF8
	}
	if d.Version != V31 && bytes.IndexByte(b, 0) >= 0 {
		return ruleNUL
	}
	if d.Options&RefuseControlChars != 0 {
		for i := 0; i < len(b); {
			r, n := utf8.DecodeRune(b[i:])
			if r < 0x20 || r >= 0x7F && r <= 0x9F || r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE {
				return ruleControlChar
			}
			i += n
		}
	}
	return ruleNone
}

// hasWildcard reports whether b contains # or +, wherever.
func hasWildcard(b []byte) bool {
	return bytes.IndexByte(b, '#') >= 0 || bytes.IndexByte(b, '+') >= 0
}

// topicFault is the rule that forbids b as the topic name of a message. It may
// be empty here, where an alias can stand for it.
func topicFault(b []byte, d Dialect) rule {
	if d.Options&RefuseControlChars == 0 && asciiName(b) {
		return ruleNone
	}
	if r := stringFault(b, d); r != ruleNone {
		return r
	}
	if hasWildcard(b) {
		return ruleTopicWildcard
	}
	return ruleNone
}

// filterFault is the rule that forbids b as a topic filter.
func filterFault(b []byte, d Dialect) rule {
	if r := stringFault(b, d); r != ruleNone {
		return r
	}
	if d.Version == V5 {
		if r := shareFault(b); r != ruleNone {
			return r
		}
	}
	return wildcardFault(b)
}

// wildcardFault checks where a filter has its wildcards.
func wildcardFault(b []byte) rule {
	if len(b) == 0 {
		return ruleFilterEmpty
	}
	for i, c := range b {
		if c != '#' && c != '+' {
			continue
		}
		starts := i == 0 || b[i-1] == '/'
		switch {
		case c == '#' && !(starts && i == len(b)-1):
			return ruleMultiLevel
		case c == '+' && !(starts && (i == len(b)-1 || b[i+1] == '/')):
			return ruleSingleLevel
		}
	}
	return ruleNone
}

const sharePrefix = "$share/"

// shareFault checks the form of a shared subscription; of other filters it
// says nothing.
func shareFault(b []byte) rule {
	if len(b) == 0 || b[0] != '$' || !isShared(b) {
		return ruleNone
	}
	group, rest, _ := bytes.Cut(b[len(sharePrefix):], []byte{'/'})
	if len(group) == 0 {
		return ruleShareName
	}
	if len(rest) == 0 || hasWildcard(group) {
		return ruleShareFilter
	}
	return ruleNone
}

func isShared(b []byte) bool {
	return len(b) >= len(sharePrefix) && string(b[:len(sharePrefix)]) == sharePrefix
}

// CheckTopicName returns an *Error when name is no topic name that a message
// can have: empty, over 65,535 bytes, with wildcards, or no well-formed UTF-8
// (MQTT-3.3.2-2, MQTT-4.7.3-1, MQTT-1.5.4-1, MQTT-1.5.4-2).
func CheckTopicName(name []byte) error {
	d := Dialect{Version: V5}
	r := topicFault(name, d)
	switch {
	case len(name) == 0:
		r = ruleTopicEmpty
	case len(name) > maxString:
		r = ruleLongString
	}
	if r != ruleNone {
		return fail(TypePublish, d, r, 0)
	}
	return nil
}

// CheckTopicFilter returns an *Error when filter is no topic filter of 5.0,
// shared ones included (MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1,
// MQTT-4.8.2-1, MQTT-4.8.2-2, MQTT-1.5.4-1, MQTT-1.5.4-2).
func CheckTopicFilter(filter []byte) error {
	d := Dialect{Version: V5}
	r := filterFault(filter, d)
	if len(filter) > maxString {
		r = ruleLongString
	}
	if r != ruleNone {
		return fail(TypeSubscribe, d, r, 0)
	}
	return nil
}

// SplitShared takes a shared subscription $share/group/filter apart. ok is
// false for every other filter, which then is rest.
func SplitShared(filter []byte) (group, rest []byte, ok bool) {
	if !isShared(filter) || shareFault(filter) != ruleNone {
		return nil, filter, false
	}
	group, rest, _ = bytes.Cut(filter[len(sharePrefix):], []byte{'/'})
	return group, rest, true
}

// Match reports whether messages with the topic name belong to a subscription
// with the filter, both of which must be legal. A wildcard in the first level
// does not match a name that begins with $ (MQTT-4.7.2-1). Of a shared
// subscription it is the rest, see [SplitShared], that matches. The time it
// takes is linear in the lengths.
func Match(filter, name []byte) bool {
	if _, rest, ok := SplitShared(filter); ok {
		filter = rest
	}
	if len(name) > 0 && name[0] == '$' && len(filter) > 0 && (filter[0] == '#' || filter[0] == '+') {
		return false
	}
	for {
		if len(filter) == 1 && filter[0] == '#' {
			return true
		}
		fEnd, nEnd := levelEnd(filter), levelEnd(name)
		if !(fEnd == 1 && filter[0] == '+') && string(filter[:fEnd]) != string(name[:nEnd]) {
			return false
		}
		fMore, nMore := fEnd < len(filter), nEnd < len(name)
		if !fMore && !nMore {
			return true
		}
		if !fMore {
			return false
		}
		filter = filter[fEnd+1:]
		if !nMore {
			return len(filter) == 1 && filter[0] == '#' // a/# matches a
		}
		name = name[nEnd+1:]
	}
}

// levelEnd is the length of the first level.
func levelEnd(b []byte) int {
	if i := bytes.IndexByte(b, '/'); i >= 0 {
		return i
	}
	return len(b)
}
