// This file holds THE property table and Properties, the validated wire form
// of a property list. What a packet may carry, which values are legal, the
// names and the statements all come from the table. To add a property: one
// constant and one row here, one constructor and one getter in property.go.

package mqttcore

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// PropertyID identifies a property of 5.0.
type PropertyID uint8

// The property identifiers.
const (
	PropPayloadFormat            PropertyID = 0x01
	PropMessageExpiry            PropertyID = 0x02
	PropContentType              PropertyID = 0x03
	PropResponseTopic            PropertyID = 0x08
	PropCorrelationData          PropertyID = 0x09
	PropSubscriptionID           PropertyID = 0x0B
	PropSessionExpiry            PropertyID = 0x11
	PropAssignedClientID         PropertyID = 0x12
	PropServerKeepAlive          PropertyID = 0x13
	PropAuthMethod               PropertyID = 0x15
	PropAuthData                 PropertyID = 0x16
	PropRequestProblemInfo       PropertyID = 0x17
	PropWillDelay                PropertyID = 0x18
	PropRequestResponseInfo      PropertyID = 0x19
	PropResponseInfo             PropertyID = 0x1A
	PropServerReference          PropertyID = 0x1C
	PropReasonString             PropertyID = 0x1F
	PropReceiveMaximum           PropertyID = 0x21
	PropTopicAliasMaximum        PropertyID = 0x22
	PropTopicAlias               PropertyID = 0x23
	PropMaximumQoS               PropertyID = 0x24
	PropRetainAvailable          PropertyID = 0x25
	PropUserProperty             PropertyID = 0x26
	PropMaximumPacketSize        PropertyID = 0x27
	PropWildcardAvailable        PropertyID = 0x28
	PropSubscriptionIDsAvailable PropertyID = 0x29
	PropSharedAvailable          PropertyID = 0x2A
)

// propertyKind is the form of a property's value on the wire.
type propertyKind uint8

const (
	kindNone    propertyKind = iota
	kindBool                 // a byte, 0 or 1: every byte property is of this kind
	kindUint16               // two byte integer
	kindUint16N              // the same, not 0
	kindUint32               // four byte integer
	kindUint32N              // the same, not 0
	kindVarintN              // variable byte integer, not 0
	kindString               // UTF-8 string
	kindTopic                // UTF-8 string that is a topic name
	kindBinary               // binary data
	kindPair                 // UTF-8 string pair
)

type propertyRow struct {
	name    string
	kind    propertyKind
	in      senders // bit 0 (and 16) is the will
	section string  // of the specification, one for each packet
}

// sectionIn is the section on the property in a packet of type t: chapter 3 has
// a part for each packet type, in their order. For no packet it is the first.
func (p propertyRow) sectionIn(t PacketType) string {
	for _, s := range strings.Fields(p.section) {
		if strings.HasPrefix(s, "§3."+strconv.Itoa(int(t))+".") {
			return s
		}
	}
	first, _, _ := strings.Cut(p.section, " ")
	return first
}

const (
	willProps    = byBoth << typeWill
	connectProps = byBoth << TypeConnect
	connAckProps = byBoth << TypeConnAck
	publishProps = byBoth << TypePublish
	ackProps     = byBoth<<TypePubAck | byBoth<<TypePubRec | byBoth<<TypePubRel | byBoth<<TypePubComp
	subProps     = byBoth << TypeSubscribe
	subAckProps  = byBoth<<TypeSubAck | byBoth<<TypeUnsubAck
	unsubProps   = byBoth << TypeUnsubscribe
	authProps    = byBoth << TypeAuth
	discProps    = byBoth << TypeDisconnect
	allProps     = willProps | connectProps | connAckProps | publishProps | ackProps | subProps | subAckProps | unsubProps | authProps | discProps
)

// propertyTable is indexed by identifier; rows without a name do not exist.
var propertyTable = [0x2B]propertyRow{
	PropPayloadFormat:            {"Payload Format Indicator", kindBool, publishProps | willProps, "§3.1.3.2.3 §3.3.2.3.2"},
	PropMessageExpiry:            {"Message Expiry Interval", kindUint32, publishProps | willProps, "§3.1.3.2.4 §3.3.2.3.3"},
	PropContentType:              {"Content Type", kindString, publishProps | willProps, "§3.1.3.2.5 §3.3.2.3.9"},
	PropResponseTopic:            {"Response Topic", kindTopic, publishProps | willProps, "§3.1.3.2.6 §3.3.2.3.5"},
	PropCorrelationData:          {"Correlation Data", kindBinary, publishProps | willProps, "§3.1.3.2.7 §3.3.2.3.6"},
	PropSubscriptionID:           {"Subscription Identifier", kindVarintN, byServer<<TypePublish | subProps, "§3.3.2.3.8 §3.8.2.1.2"},
	PropSessionExpiry:            {"Session Expiry Interval", kindUint32, connectProps | connAckProps | byClient<<TypeDisconnect, "§3.1.2.11.2 §3.2.2.3.2 §3.14.2.2.2"},
	PropAssignedClientID:         {"Assigned Client Identifier", kindString, connAckProps, "§3.2.2.3.7"},
	PropServerKeepAlive:          {"Server Keep Alive", kindUint16, connAckProps, "§3.2.2.3.14"},
	PropAuthMethod:               {"Authentication Method", kindString, connectProps | connAckProps | authProps, "§3.1.2.11.9 §3.2.2.3.17 §3.15.2.2.2"},
	PropAuthData:                 {"Authentication Data", kindBinary, connectProps | connAckProps | authProps, "§3.1.2.11.10 §3.2.2.3.18 §3.15.2.2.3"},
	PropRequestProblemInfo:       {"Request Problem Information", kindBool, connectProps, "§3.1.2.11.7"},
	PropWillDelay:                {"Will Delay Interval", kindUint32, willProps, "§3.1.3.2.2"},
	PropRequestResponseInfo:      {"Request Response Information", kindBool, connectProps, "§3.1.2.11.6"},
	PropResponseInfo:             {"Response Information", kindString, connAckProps, "§3.2.2.3.15"},
	PropServerReference:          {"Server Reference", kindString, connAckProps | byServer<<TypeDisconnect, "§3.2.2.3.16 §3.14.2.2.5"},
	PropReasonString:             {"Reason String", kindString, connAckProps | ackProps | subAckProps | discProps | authProps, "§3.2.2.3.9 §3.4.2.2.2 §3.5.2.2.2 §3.6.2.2.2 §3.7.2.2.2 §3.9.2.1.2 §3.11.2.1.2 §3.14.2.2.3 §3.15.2.2.4"},
	PropReceiveMaximum:           {"Receive Maximum", kindUint16N, connectProps | connAckProps, "§3.1.2.11.3 §3.2.2.3.3"},
	PropTopicAliasMaximum:        {"Topic Alias Maximum", kindUint16, connectProps | connAckProps, "§3.1.2.11.5 §3.2.2.3.8"},
	PropTopicAlias:               {"Topic Alias", kindUint16N, publishProps, "§3.3.2.3.4"},
	PropMaximumQoS:               {"Maximum QoS", kindBool, connAckProps, "§3.2.2.3.4"},
	PropRetainAvailable:          {"Retain Available", kindBool, connAckProps, "§3.2.2.3.5"},
	PropUserProperty:             {"User Property", kindPair, allProps, "§3.1.2.11.8 §3.1.3.2.8 §3.2.2.3.10 §3.3.2.3.7 §3.4.2.2.3 §3.5.2.2.3 §3.6.2.2.3 §3.7.2.2.3 §3.8.2.1.3 §3.9.2.1.3 §3.10.2.1.2 §3.11.2.1.3 §3.14.2.2.4 §3.15.2.2.5"},
	PropMaximumPacketSize:        {"Maximum Packet Size", kindUint32N, connectProps | connAckProps, "§3.1.2.11.4 §3.2.2.3.6"},
	PropWildcardAvailable:        {"Wildcard Subscription Available", kindBool, connAckProps, "§3.2.2.3.11"},
	PropSubscriptionIDsAvailable: {"Subscription Identifier Available", kindBool, connAckProps, "§3.2.2.3.12"},
	PropSharedAvailable:          {"Shared Subscription Available", kindBool, connAckProps, "§3.2.2.3.13"},
}

// propertyKinds is the column kind of the property table, for every byte.
var propertyKinds = func() (a [256]propertyKind) {
	for id, row := range propertyTable {
		a[id] = row.kind
	}
	return a
}()

// String returns the specification's name of the property.
func (id PropertyID) String() string {
	if int(id) < len(propertyTable) && propertyTable[id].name != "" {
		return propertyTable[id].name
	}
	return "unknown property"
}

// AllowedIn reports whether a packet of type t may carry the property when it
// is sent by from; FromEither asks whether anyone may send it.
func (id PropertyID) AllowedIn(t PacketType, from Role) bool {
	return t != typeWill && int(id) < len(propertyTable) && propertyTable[id].in.has(t, from)
}

// AllowedInWill reports whether the properties of a will may hold the property.
func (id PropertyID) AllowedInWill() bool {
	return int(id) < len(propertyTable) && propertyTable[id].in.has(typeWill, FromEither)
}

// PropertyMask is a set of properties: bit n stands for identifier n.
type PropertyMask uint64

// Mask is the set that holds only id.
func (id PropertyID) Mask() PropertyMask { return 1 << id }

// Has reports whether id is in the set.
func (m PropertyMask) Has(id PropertyID) bool { return m&(1<<id) != 0 }

const (
	// severalIDs is set when there is more than one subscription identifier,
	// which only a server's PUBLISH may have.
	severalIDs PropertyMask = 1 << 62
	// ownWire is set when the wire bytes were made here and may be appended to.
	ownWire PropertyMask = 1 << 63

	identifiers = severalIDs - 1
)

// allowedProperties is the property table turned round: for each sender and
// packet type, what the packet may carry.
var allowedProperties = func() (a [4][16]PropertyMask) {
	for id, row := range propertyTable {
		for t := range PacketType(16) {
			for _, from := range [...]Role{FromEither, FromClient, FromServer} {
				if row.in.has(t, from) {
					a[from][t] |= PropertyID(id).Mask()
				}
			}
		}
	}
	a[FromEither][TypePublish] |= severalIDs
	a[FromServer][TypePublish] |= severalIDs
	return a
}()

// Properties is a list of properties: their bytes as on the wire, validated,
// and the set of identifiers among them. The zero value is the empty list.
//
// A Properties that was decoded aliases the frame it came from. Copies share
// bytes as copies of a slice do: do not Add to two copies of one list.
type Properties struct {
	wire []byte
	mask PropertyMask // 0 when wire is nil
}

// Property is one property. Which fields count depends on the identifier: Num
// for integers and bytes, Value for strings and binary data, Key and Value for
// user properties.
type Property struct {
	ID         PropertyID
	Num        uint32
	Key, Value []byte
}

// Text is what the constructors take for strings and binary data.
type Text interface{ ~string | ~[]byte }

// NewProperties makes a list of its own from ps, in that order. The error is
// that of [Properties.Add].
func NewProperties(ps ...Property) (Properties, error) {
	var p Properties
	for _, x := range ps {
		if err := p.Add(x); err != nil {
			return Properties{}, err
		}
	}
	return p, nil
}

// ParseProperties validates b as the properties of some packet, without the
// length that precedes them there. The list aliases b. An *Error counts from the
// beginning of b, and its Type is 0.
func ParseProperties(b []byte) (Properties, error) {
	const every = identifiers | severalIDs
	mask, r, off := scanProperties(b, every, Dialect{Version: V5})
	if r != ruleNone {
		return Properties{}, fail(0, Dialect{Version: V5}, r, off)
	}
	return Properties{wire: b, mask: mask}, nil
}

// Add appends one property, copying its bytes. Which packet the list is for is
// not known here: what it may carry is checked when it is encoded. An error
// (an *Error for a value or a repetition that no packet may have, or
// ErrProperty for a number that does not fit) changes nothing.
func (p *Properties) Add(x Property) error {
	if int(x.ID) >= len(propertyTable) || propertyTable[x.ID].name == "" {
		return fail(0, Dialect{Version: V5}, rulePropertyUnknown, 0)
	}
	kind := propertyTable[x.ID].kind
	r := ruleNone
	switch kind {
	case kindBool:
		if x.Num > 1 {
			r = rulePropertyValue + rule(x.ID)
		}
	case kindUint16, kindUint16N:
		if x.Num > 0xFFFF {
			return ErrProperty
		}
	case kindVarintN:
		if x.Num > maxRemaining {
			return ErrProperty
		}
	case kindPair:
		r = textFault(x.Key)
		if r == ruleNone {
			r = textFault(x.Value)
		}
	case kindString:
		r = textFault(x.Value)
	case kindTopic:
		if r = textFault(x.Value); r == ruleNone && (len(x.Value) == 0 || hasWildcard(x.Value)) {
			r = ruleResponseTopic
		}
	case kindBinary:
		if len(x.Value) > maxString {
			r = ruleLongString
		}
	}
	if x.Num == 0 && (kind == kindUint16N || kind == kindUint32N || kind == kindVarintN) {
		r = zeroFault(x.ID)
	}
	mask := p.mask | x.ID.Mask()
	if p.mask.Has(x.ID) && x.ID != PropUserProperty {
		if x.ID != PropSubscriptionID {
			r = rulePropertyDuplicate + rule(x.ID)
		}
		mask |= severalIDs
	}
	if r != ruleNone {
		return fail(0, Dialect{Version: V5}, r, 0)
	}
	b := p.wire
	if p.mask&ownWire == 0 {
		b = append(make([]byte, 0, len(b)+len(x.Key)+len(x.Value)+8), b...)
	}
	b = append(b, byte(x.ID))
	switch kind {
	case kindBool:
		b = append(b, byte(x.Num))
	case kindUint16, kindUint16N:
		b = append(b, byte(x.Num>>8), byte(x.Num))
	case kindUint32, kindUint32N:
		b = append(b, byte(x.Num>>24), byte(x.Num>>16), byte(x.Num>>8), byte(x.Num))
	case kindVarintN:
		b = AppendUvarint(b, x.Num)
	case kindPair:
		b = appendString(appendString(b, x.Key), x.Value)
	default:
		b = appendString(b, x.Value)
	}
	p.wire, p.mask = b, mask|ownWire
	return nil
}

// textFault checks a string of a property that is to be built.
func textFault(b []byte) rule {
	if len(b) > maxString {
		return ruleLongString
	}
	return stringFault(b, Dialect{Version: V5})
}

// Reset makes the list empty. Space that it owns is kept for the next Add.
func (p *Properties) Reset() {
	if p.mask&ownWire == 0 {
		*p = Properties{}
		return
	}
	p.wire, p.mask = p.wire[:0], ownWire
}

// AddFrom appends the properties of q that are not in drop. Its errors are
// those of [Properties.Add]; the properties before the one at fault are added.
func (p *Properties) AddFrom(q Properties, drop PropertyMask) error {
	for x := range q.All() {
		if !drop.Has(x.ID) {
			if err := p.Add(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// Len is the size of the list in bytes, without the length that precedes it in
// a packet.
func (p Properties) Len() int { return len(p.wire) }

// Mask is the set of the properties that are present.
func (p Properties) Mask() PropertyMask { return p.mask & identifiers }

// Equal reports whether both lists hold the same properties in the same order.
func (p Properties) Equal(q Properties) bool { return bytes.Equal(p.wire, q.wire) }

// Clone returns a list with bytes of its own.
func (p Properties) Clone() Properties {
	if len(p.wire) == 0 {
		return Properties{}
	}
	return Properties{wire: append([]byte(nil), p.wire...), mask: p.mask | ownWire}
}

// AppendTo appends the list as it stands in a packet, but for its length.
func (p Properties) AppendTo(dst []byte) []byte { return append(dst, p.wire...) }

// AppendWithout appends the list without the properties in drop, as AppendTo
// does. [ParseProperties] makes a list of it again; [Properties.AddFrom] adds to
// a list.
func (p Properties) AppendWithout(dst []byte, drop PropertyMask) []byte {
	if p.mask&drop&identifiers == 0 {
		return append(dst, p.wire...)
	}
	for b := p.wire; len(b) > 0; {
		n := propertySize(b)
		if n == 0 {
			break
		}
		if !drop.Has(PropertyID(b[0])) {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return dst
}

// All yields the properties in their order on the wire. Keys and values alias
// the list.
func (p Properties) All() iter.Seq[Property] {
	return func(yield func(Property) bool) {
		for b := p.wire; len(b) > 0; {
			n := propertySize(b)
			if n == 0 || !yield(propertyAt(b[:n])) {
				return
			}
			b = b[n:]
		}
	}
}

// UserProperties yields the user properties, name and value, in their order.
func (p Properties) UserProperties() iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		for x := range p.All() {
			if x.ID == PropUserProperty && !yield(x.Key, x.Value) {
				return
			}
		}
	}
}

// SubscriptionIDs yields the subscription identifiers in their order.
func (p Properties) SubscriptionIDs() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if !p.mask.Has(PropSubscriptionID) {
			return
		}
		for x := range p.All() {
			if x.ID == PropSubscriptionID && !yield(x.Num) {
				return
			}
		}
	}
}

// Get returns the first property with the identifier id.
func (p Properties) Get(id PropertyID) (Property, bool) {
	if !p.mask.Has(id) {
		return Property{}, false
	}
	for b := p.wire; len(b) > 0; {
		n := propertySize(b)
		if n == 0 {
			break
		}
		if b[0] == byte(id) {
			return propertyAt(b[:n]), true
		}
		b = b[n:]
	}
	return Property{}, false
}

// scanProperties validates a block of properties and returns the set of them,
// or the rule that was broken and where in b.
func scanProperties(b []byte, allowed PropertyMask, d Dialect) (mask PropertyMask, r rule, off int) {
	for i := 0; i < len(b); {
		id := PropertyID(b[i])
		kind, bit := propertyKinds[id], PropertyMask(1)<<(id&63)
		if kind == kindNone || allowed&bit == 0 {
			return 0, misplacedRule(id, allowed), i
		}
		if mask&bit != 0 && id != PropUserProperty {
			if id != PropSubscriptionID || allowed&severalIDs == 0 {
				return 0, rulePropertyDuplicate + rule(id), i
			}
			mask |= severalIDs
		}
		mask |= bit
		at := i
		i++
		switch kind {
		case kindBool:
			if i >= len(b) {
				return 0, rulePropertyLength, at
			}
			if b[i] > 1 {
				return 0, rulePropertyValue + rule(id), i
			}
			i++
		case kindUint16, kindUint16N:
			if len(b)-i < 2 {
				return 0, rulePropertyLength, at
			}
			if kind == kindUint16N && b[i]|b[i+1] == 0 {
				return 0, zeroFault(id), i
			}
			i += 2
		case kindUint32, kindUint32N:
			if len(b)-i < 4 {
				return 0, rulePropertyLength, at
			}
			if kind == kindUint32N && b[i]|b[i+1]|b[i+2]|b[i+3] == 0 {
				return 0, zeroFault(id), i
			}
			i += 4
		case kindVarintN:
			v, n := ConsumeUvarint(b[i:])
			if n <= 0 {
				return 0, varintFault(n), i
			}
			if v == 0 {
				return 0, zeroFault(id), i
			}
			i += n
		default:
			parts := 1
			if kind == kindPair {
				parts = 2
			}
			for ; parts > 0; parts-- {
				if len(b)-i < 2 {
					return 0, rulePropertyLength, at
				}
				n := int(b[i])<<8 | int(b[i+1])
				i += 2
				if len(b)-i < n {
					return 0, rulePropertyLength, at
				}
				s := b[i : i+n]
				if kind == kindTopic && (n == 0 || !plainTopic(s) && hasWildcard(s)) {
					return 0, ruleResponseTopic, i
				}
				if kind != kindBinary && (!plainText(s) || d.Options&RefuseControlChars != 0) {
					if r := stringFault(s, d); r != ruleNone {
						return 0, r, i
					}
				}
				i += n
			}
		}
	}
	return mask, ruleNone, 0
}

// zeroFault is the rule that forbids a property to be 0.
func zeroFault(id PropertyID) rule {
	if id == PropTopicAlias {
		return ruleTopicAliasZero
	}
	return rulePropertyValue + rule(id)
}

// varintFault is the rule that ConsumeUvarint's n reports as broken, in a
// property.
func varintFault(n int) rule {
	switch n {
	case -1:
		return ruleLongVarint
	case -2:
		return ruleShortestLength
	}
	return rulePropertyLength
}

// misplacedRule is the rule that forbids id where allowed is what is allowed.
func misplacedRule(id PropertyID, allowed PropertyMask) rule {
	switch {
	case id >= PropertyID(len(propertyTable)) || propertyTable[id].kind == kindNone:
		return rulePropertyUnknown
	case id == PropSubscriptionID && allowed.Has(PropTopicAlias):
		return ruleSubscriptionIDClient
	case id == PropSessionExpiry && allowed == allowedProperties[FromServer][TypeDisconnect]:
		return ruleServerExpiry
	case id == PropServerReference && allowed == allowedProperties[FromClient][TypeDisconnect]:
		return ruleServerReference
	}
	return rulePropertyMisplaced
}

// consume decodes the property length and the properties at the start of b. It
// returns the bytes taken, or a broken rule and where in b.
func (p *Properties) consume(b []byte, t PacketType, d Dialect) (n int, r rule, off int) {
	if len(b) > 0 && b[0] == 0 {
		*p = Properties{}
		return 1, ruleNone, 0
	}
	size, n := ConsumeUvarint(b)
	if n <= 0 {
		return 0, varintFault(n), 0
	}
	if int(size) > len(b)-n {
		return 0, rulePropertyLength, 0
	}
	end := n + int(size)
	wire := b[n:end:end]
	mask, r, off := scanProperties(wire, allowedProperties[d.From&3][t], d)
	if r != ruleNone {
		return 0, r, n + off
	}
	p.wire, p.mask = wire, mask
	return end, ruleNone, 0
}

// fault is the rule that forbids the list in a packet of type t.
func (p *Properties) fault(t PacketType, d Dialect) rule {
	if d.Version != V5 {
		if len(p.wire) != 0 {
			return rulePropertyVersion
		}
		return ruleNone
	}
	allowed := allowedProperties[d.From&3][t]
	bad := p.mask &^ (allowed | ownWire)
	if bad == 0 {
		if d.Options&RefuseControlChars != 0 {
			_, r, _ := scanProperties(p.wire, allowed, d)
			return r
		}
		return ruleNone
	}
	if bad == severalIDs {
		return rulePropertyDuplicate + rule(PropSubscriptionID)
	}
	for id := range PropertyID(len(propertyTable)) {
		if bad.Has(id) {
			return misplacedRule(id, allowed)
		}
	}
	return rulePropertyMisplaced
}

// size is the size of the list with its length.
func (p *Properties) size() int { return SizeUvarint(uint32(len(p.wire))) + len(p.wire) }

func (p *Properties) append(dst []byte) []byte {
	return append(AppendUvarint(dst, uint32(len(p.wire))), p.wire...)
}

// propertySize is the size in bytes of the first property of b, or 0 when b
// does not begin with one, as when a caller changed bytes that a list aliases.
func propertySize(b []byte) int {
	if int(b[0]) >= len(propertyTable) {
		return 0
	}
	n := 0
	switch propertyTable[b[0]].kind {
	case kindBool:
		n = 2
	case kindUint16, kindUint16N:
		n = 3
	case kindUint32, kindUint32N:
		n = 5
	case kindVarintN:
		_, k := ConsumeUvarint(b[1:])
		if k <= 0 {
			return 0
		}
		n = 1 + k
	case kindString, kindTopic, kindBinary:
		n = 1 + stringSize(b[1:])
	case kindPair:
		n = 1 + stringSize(b[1:])
		if n <= len(b) {
			n += stringSize(b[n:])
		}
	}
	if n > len(b) {
		return 0
	}
	return n
}

// stringSize is the size of the string at the start of b with its length, or
// more than len(b) when it does not fit.
func stringSize(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	return 2 + (int(b[0])<<8 | int(b[1]))
}

// propertyAt takes one property apart. b is exactly that property.
func propertyAt(b []byte) Property {
	x := Property{ID: PropertyID(b[0])}
	v := b[1:]
	switch propertyTable[x.ID].kind {
	case kindBool:
		x.Num = uint32(v[0])
	case kindUint16, kindUint16N:
		x.Num = uint32(v[0])<<8 | uint32(v[1])
	case kindUint32, kindUint32N:
		x.Num = uint32(v[0])<<24 | uint32(v[1])<<16 | uint32(v[2])<<8 | uint32(v[3])
	case kindVarintN:
		x.Num, _ = ConsumeUvarint(v)
	case kindPair:
		n := stringSize(v)
		x.Key, v = v[2:n:n], v[n:]
		fallthrough
	default:
		x.Value = v[2:len(v):len(v)]
	}
	return x
}
