// This file holds THE table of fixed headers: packet type × version × flags ×
// sender. It must not know what follows the remaining length.

package mqttcore

// headerRow is what the fixed header of a packet type may be.
type headerRow struct {
	from        Role  // who sends it, both bits for either; 0: nobody
	flags, mask uint8 // the reserved flags and their value
	exact       bool  // the body is of max bytes at most
	max         uint8
	flagsRule   rule
}

const fromBoth = FromClient | FromServer

// headerTable is indexed by the low two bits of the version (3: 3.1, 0: 3.1.1,
// 1: 5.0) and by packet type. 3.1 does not ask for unused bits to be zero.
var headerTable = [4][16]headerRow{
	V31 & 3: {
		TypeConnect:     {from: FromClient},
		TypeConnAck:     {from: FromServer, exact: true, max: 2},
		TypePublish:     {from: fromBoth},
		TypePubAck:      {from: fromBoth, exact: true, max: 2},
		TypePubRec:      {from: fromBoth, exact: true, max: 2},
		TypePubRel:      {from: fromBoth, exact: true, max: 2, flags: 2, mask: 6, flagsRule: ruleFlagsPubRel},
		TypePubComp:     {from: fromBoth, exact: true, max: 2},
		TypeSubscribe:   {from: FromClient, flags: 2, mask: 6, flagsRule: ruleFlagsSubscribe},
		TypeSubAck:      {from: FromServer},
		TypeUnsubscribe: {from: FromClient, flags: 2, mask: 6, flagsRule: ruleFlagsUnsubscribe},
		TypeUnsubAck:    {from: FromServer, exact: true, max: 2},
		TypePingReq:     {from: FromClient, exact: true},
		TypePingResp:    {from: FromServer, exact: true},
		TypeDisconnect:  {from: FromClient, exact: true},
	},
	V311 & 3: {
		TypeConnect:     {from: FromClient, mask: 15, flagsRule: ruleFlags},
		TypeConnAck:     {from: FromServer, exact: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePublish:     {from: fromBoth},
		TypePubAck:      {from: fromBoth, exact: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePubRec:      {from: fromBoth, exact: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePubRel:      {from: fromBoth, exact: true, max: 2, flags: 2, mask: 15, flagsRule: ruleFlagsPubRel},
		TypePubComp:     {from: fromBoth, exact: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypeSubscribe:   {from: FromClient, flags: 2, mask: 15, flagsRule: ruleFlagsSubscribe},
		TypeSubAck:      {from: FromServer, mask: 15, flagsRule: ruleFlags},
		TypeUnsubscribe: {from: FromClient, flags: 2, mask: 15, flagsRule: ruleFlagsUnsubscribe},
		TypeUnsubAck:    {from: FromServer, exact: true, max: 2, mask: 15, flagsRule: ruleFlags},
		TypePingReq:     {from: FromClient, exact: true, mask: 15, flagsRule: ruleFlags},
		TypePingResp:    {from: FromServer, exact: true, mask: 15, flagsRule: ruleFlags},
		TypeDisconnect:  {from: FromClient, exact: true, mask: 15, flagsRule: ruleFlagsDisconnect},
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
		TypePingReq:     {from: FromClient, exact: true, mask: 15, flagsRule: ruleFlags},
		TypePingResp:    {from: FromServer, exact: true, mask: 15, flagsRule: ruleFlags},
		TypeDisconnect:  {from: fromBoth, mask: 15, flagsRule: ruleFlagsDisconnect},
		TypeAuth:        {from: fromBoth, mask: 15, flagsRule: ruleFlagsAuth},
	},
}

// laxFlags are the packet types to which AllowReservedFlags applies.
const laxFlags = 1<<TypeConnAck | 1<<TypePubAck | 1<<TypePubRec | 1<<TypePubComp |
	1<<TypeSubAck | 1<<TypeUnsubAck | 1<<TypePingResp

const (
	flagRetain = 1
	flagQoS    = 6
	flagDup    = 8
)

// firstByteRow is what the first byte of a packet tells.
type firstByteRow struct {
	fault  rule   // what forbids it
	max    uint8  // the longest body in bytes, or anySize
	waiver uint16 // the option that tolerates the fault, or 0
}

const anySize = 0xFF

// firstByteTable is headerTable turned round, for speed: indexed by sender, the
// low two bits of the version, and the byte.
var firstByteTable = func() (a [4][4][256]firstByteRow) {
	for from := range a {
		for v := range a[from] {
			for b := range a[from][v] {
				h := &headerTable[v][b>>4]
				row := &a[from][v][b]
				row.fault = h.fault(PacketType(b>>4), uint8(b&15), Role(from), v != int(V31&3))
				row.max = h.max
				if !h.exact {
					row.max = anySize
				}
				switch {
				case row.fault == ruleDupQoS0:
					row.waiver = uint16(AllowDupAtQoS0)
				case row.fault == ruleFlags && laxFlags>>(b>>4)&1 != 0:
					row.waiver = uint16(AllowReservedFlags)
				}
			}
		}
	}
	return a
}()

func (d Dialect) firstByte(b uint8) firstByteRow {
	return firstByteTable[d.From&3][d.Version&3][b]
}

func (h *headerRow) fault(t PacketType, flags uint8, from Role, strictDup bool) rule {
	switch {
	case h.from == 0:
		return rulePacketType
	case h.from&from != from:
		return ruleDirection
	case t == TypePublish && flags&flagQoS == flagQoS:
		return ruleQoS3
	case t == TypePublish && flags&(flagDup|flagQoS) == flagDup && strictDup:
		return ruleDupQoS0
	case (flags^h.flags)&h.mask != 0:
		return h.flagsRule
	}
	return ruleNone
}

// headerFault is the rule that forbids the first byte of a packet.
func (d Dialect) headerFault(first uint8) rule {
	row := d.firstByte(first)
	if row.waiver&uint16(d.Options) != 0 {
		return ruleNone
	}
	return row.fault
}
