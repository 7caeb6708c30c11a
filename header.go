// This file holds THE table of fixed headers: packet type × version × flags ×
// sender. It must not know what follows the remaining length.

package mqttcore

// headerRow is what the fixed header of a packet type may be.
type headerRow struct {
	from        Role  // who sends it, both bits for either; 0: nobody
	flags, mask uint8 // the reserved flags and their value
	limited     bool  // the body has at most max bytes
	max         uint8
	flagsRule   rule
}

const fromBoth = FromClient | FromServer

// headerTable is indexed by the low two bits of the version (3: 3.1, 0: 3.1.1,
// 1: 5.0) and by packet type. 3.1 does not ask for unused bits to be zero.
var headerTable = [4][16]headerRow{
	V31 & 3: {
		TypeConnect:     {from: FromClient},
		TypeConnAck:     {from: FromServer, limited: true, max: 2},
		TypePublish:     {from: fromBoth},
		TypePubAck:      {from: fromBoth, limited: true, max: 2},
		TypePubRec:      {from: fromBoth, limited: true, max: 2},
		TypePubRel:      {from: fromBoth, limited: true, max: 2, flags: 2, mask: 6, flagsRule: ruleFlagsPubRel},
		TypePubComp:     {from: fromBoth, limited: true, max: 2},
		TypeSubscribe:   {from: FromClient, flags: 2, mask: 6, flagsRule: ruleFlagsSubscribe},
		TypeSubAck:      {from: FromServer},
		TypeUnsubscribe: {from: FromClient, flags: 2, mask: 6, flagsRule: ruleFlagsUnsubscribe},
		TypeUnsubAck:    {from: FromServer, limited: true, max: 2},
		TypePingReq:     {from: FromClient, limited: true},
		TypePingResp:    {from: FromServer, limited: true},
		TypeDisconnect:  {from: FromClient, limited: true},
	},
	V311 & 3: {
		TypeConnect:     {from: FromClient, mask: 15, flagsRule: ruleFlags},
		TypeConnAck:     {from: FromServer, limited: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePublish:     {from: fromBoth},
		TypePubAck:      {from: fromBoth, limited: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePubRec:      {from: fromBoth, limited: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePubRel:      {from: fromBoth, limited: true, max: 2, flags: 2, mask: 15, flagsRule: ruleFlagsPubRel},
		TypePubComp:     {from: fromBoth, limited: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypeSubscribe:   {from: FromClient, flags: 2, mask: 15, flagsRule: ruleFlagsSubscribe},
		TypeSubAck:      {from: FromServer, mask: 15, flagsRule: ruleFlags},
		TypeUnsubscribe: {from: FromClient, flags: 2, mask: 15, flagsRule: ruleFlagsUnsubscribe},
		TypeUnsubAck:    {from: FromServer, limited: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePingReq:     {from: FromClient, limited: true, mask: 15, flagsRule: ruleFlags},
		TypePingResp:    {from: FromServer, limited: true, mask: 15, flagsRule: ruleFlags},
		TypeDisconnect:  {from: FromClient, limited: true, mask: 15, flagsRule: ruleFlagsDisconnect},
	},
	V5 & 3: {
		TypeConnect:     {from: FromClient, mask: 15, flagsRule: ruleFlags},
		TypeConnAck:     {from: FromServer, mask: 15, flagsRule: ruleFlags},
		TypePublish:     {from: fromBoth},
		TypePubAck:      {from: fromBoth, mask: 15, flagsRule: ruleFlags},
		TypePubRec:      {from: fromBoth, mask: 15, flagsRule: ruleFlags},
		TypePubRel:      {from: fromBoth, flags: 2, mask: 15, flagsRule: ruleFlagsPubRel},
		TypePubComp:     {from: fromBoth, mask: 15, flagsRule: ruleFlags},
		TypeSubscribe:   {from: FromClient, flags: 2, mask: 15, flagsRule: ruleFlagsSubscribe},
		TypeSubAck:      {from: FromServer, mask: 15, flagsRule: ruleFlags},
		TypeUnsubscribe: {from: FromClient, flags: 2, mask: 15, flagsRule: ruleFlagsUnsubscribe},
		TypeUnsubAck:    {from: FromServer, mask: 15, flagsRule: ruleFlags},
		TypePingReq:     {from: FromClient, limited: true, mask: 15, flagsRule: ruleFlags},
		TypePingResp:    {from: FromServer, limited: true, mask: 15, flagsRule: ruleFlags},
		TypeDisconnect:  {from: fromBoth, mask: 15, flagsRule: ruleFlagsDisconnect},
		TypeAuth:        {from: fromBoth, mask: 15, flagsRule: ruleFlagsAuth},
	},
}

const (
	flagRetain = 1
	flagQoS    = 6
	flagDup    = 8
)

// flagOptions are the options that concern the fixed header.
const flagOptions = AllowReservedFlags | AllowDupAtQoS0

// legalFlags is headerTable turned round, for speed: bit n stands for the flags
// n of the fixed header. It is indexed by those options, sender, the low two bits of
// the version, and type.
var legalFlags = func() (a [flagOptions + 1][4][4][16]uint16) {
	for options := range a {
		for from := range a[options] {
			for v := range a[options][from] {
				for t := range a[options][from][v] {
					for flags := range uint8(16) {
						if firstByteFault(PacketType(t), flags, Role(from), uint8(v), Options(options)) == ruleNone {
							a[options][from][v][t] |= 1 << flags
						}
					}
				}
			}
		}
	}
	return a
}()

// longestBody is the column max of headerTable, in bytes.
var longestBody = func() (a [4][16]uint32) {
	for v := range a {
		for t := range a[v] {
			a[v][t] = maxRemaining
			if h := &headerTable[v][t]; h.limited {
				a[v][t] = uint32(h.max)
			}
		}
	}
	return a
}()

// alwaysLegal is legalFlags for what every version permits every sender without
// options.
var alwaysLegal = func() (a [16]uint16) {
	for t := range a {
		a[t] = 0xFFFF
		for v := V31; v <= V5; v++ {
			a[t] &= legalFlags[0][FromClient][v&3][t] & legalFlags[0][FromServer][v&3][t]
		}
	}
	return a
}()

// shortBodies is, by first byte, the longest body below 128 bytes that every
// version permits every sender without options: 0 when the first byte is not
// always legal.
var shortBodies = func() (a [256]uint8) {
	for b := range a {
		if t := b >> 4; alwaysLegal[t]>>(b&15)&1 != 0 {
			a[b] = uint8(min(0x7F, longestBody[V31&3][t], longestBody[V311&3][t], longestBody[V5&3][t]))
		}
	}
	return a
}()

// ackFlags are the flags of an Ack without DUP by its type, and noFlags for every
// other type.
var ackFlags = func() (a [256]uint16) {
	for t := range a {
		a[t] = noFlags
	}
	for t := TypePubAck; t <= TypePubComp; t++ {
		a[t] = uint16(headerTable[V311&3][t].flags)
	}
	return a
}()

// noFlags is no value that the flags of a frame could have.
const noFlags = 0x100

// laxFlags are the packet types to which AllowReservedFlags applies.
const laxFlags = 1<<TypeConnAck | 1<<TypePubAck | 1<<TypePubRec | 1<<TypePubComp |
	1<<TypeSubAck | 1<<TypeUnsubAck | 1<<TypePingResp

// firstByteFault is the rule that forbids a first byte; v is the low two bits
// of the version.
func firstByteFault(t PacketType, flags uint8, from Role, v uint8, o Options) rule {
	h := &headerTable[v][t]
	switch {
	case h.from == 0:
		return rulePacketType
	case h.from&from != from:
		return ruleDirection
	case t == TypePublish && flags&flagQoS == flagQoS:
		return ruleQoS3
	case t == TypePublish && flags&(flagDup|flagQoS) == flagDup && v != uint8(V31&3) && o&AllowDupAtQoS0 == 0:
		return ruleDupQoS0
	case (flags^h.flags)&h.mask != 0 && (o&AllowReservedFlags == 0 || laxFlags>>t&1 == 0):
		return h.flagsRule
	}
	return ruleNone
}

// permits reports whether the version exists and a packet of it may begin with
// the type and flags.
func (d Dialect) permits(t PacketType, flags uint8) bool {
	return d.Version-V31 <= V5-V31 &&
		legalFlags[d.Options&flagOptions][d.From&3][d.Version&3][t&15]>>(flags&15)&1 != 0
}

// always is permits for what needs no look at sender and options: false says
// nothing.
func (d Dialect) always(t PacketType, flags uint8) bool {
	return d.Version-V31 <= V5-V31 && alwaysLegal[t&15]>>(flags&15)&1 != 0
}

// headerError is the error of what is not permitted.
func (d Dialect) headerError(t PacketType, flags uint8) error {
	if d.Version-V31 > V5-V31 {
		return ErrVersion
	}
	return fail(t, d, firstByteFault(t&15, flags&15, d.From&3, uint8(d.Version&3), d.Options), 0)
}
