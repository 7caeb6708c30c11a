// This file holds all that other libraries are known to read otherwise than
// the core, and who is right. What is not here is a finding.

package compare

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

// A disagreement is about packets that a library refuses, or reads otherwise.
type disagreement struct {
	library   string
	versions  []mqttcore.Version
	what      string
	right     string // who, and by which statement
	statement string
	example   string // one that shows it, in hex, of the first version
	// refused reports whether this is why the library refuses the packet; nil
	// where it does not refuse.
	refused func(x *reading) bool
	// repair makes of theirs what the library should have read. It changes
	// nothing but what this is about, and nothing in packets that are not.
	repair func(x *reading)
}

var only31 = []mqttcore.Version{mqttcore.V31}

var disagreements = []disagreement{
	{
		library: "mochi", versions: only31, right: core, statement: "3.1:MQTT31-07, 3.1:MQTT31-08",
		what:    "refuses DUP outside PUBLISH, DUP at QoS 0, and unused bits of the first byte, which 3.1 leaves open",
		example: "6a020001",
		refused: func(x *reading) bool {
			flags := x.wire[0] & 0x0F
			switch x.ours.Packet.PacketType() {
			case mqttcore.TypePublish:
				return flags&0x0E == 0x08
			case mqttcore.TypePubRel, mqttcore.TypeSubscribe, mqttcore.TypeUnsubscribe:
				return flags != 0x02
			}
			return flags != 0
		},
	},
	{
		library: "mochi", versions: only31, right: core, statement: "3.1:MQTT31-12",
		what:    "refuses strings that are no UTF-8 or hold U+0000, on which 3.1 has no rule",
		example: "300600046100c080",
		refused: func(x *reading) bool {
			return slices.ContainsFunc(x.ours.texts(), func(s []byte) bool { return !utf8.Valid(s) || bytes.IndexByte(s, 0) >= 0 })
		},
	},
	{
		library: "mochi", versions: only31, right: core, statement: "3.1:MQTT31-10",
		what:    "refuses a CONNECT that ends before a user name or password which its flags announce, which 3.1 allows",
		example: "101100064d51497364700380003c0003616263",
		refused: func(x *reading) bool {
			p, ok := x.ours.Packet.(*mqttcore.Connect)
			return ok && (x.connectFlags()&0x80 != 0 && p.Username == nil || x.connectFlags()&0x40 != 0 && p.Password == nil)
		},
	},
	{
		library: "mochi", versions: only31, right: core, statement: "3.1:MQTT31-08",
		what:    "gives QoS and RETAIN of a will that is not there",
		example: "101100064d51497364700338003c0003616263",
		repair: func(x *reading) {
			if p, ok := x.theirs.Packet.(*mqttcore.Connect); ok && x.connectFlags()&0x04 == 0 {
				p.Will.QoS, p.Will.Retain = 0, false
			}
		},
	},
	{
		library: "mochi", versions: only31, right: core, statement: "3.1:§3.2",
		what:    "takes the unused first byte of CONNACK for session present, which came with 3.1.1",
		example: "20020100",
		repair: func(x *reading) {
			if p, ok := x.theirs.Packet.(*mqttcore.ConnAck); ok {
				p.SessionPresent = false
			}
		},
	},
	{
		library: "mochi", versions: only5, right: core, statement: "5.0:§3.14.2.2.1",
		what:    "takes a DISCONNECT of a reason code alone for a normal disconnection",
		example: "e00104",
		repair: func(x *reading) {
			if p, ok := x.theirs.Packet.(*mqttcore.Disconnect); ok && x.body() == 1 {
				p.Code = x.ours.Packet.(*mqttcore.Disconnect).Code
			}
		},
	},
	{
		library: "paho.golang", versions: only5, right: core, statement: "5.0:§3.14.2.1",
		what:    "refuses a DISCONNECT without a reason code",
		example: "e000",
		refused: func(x *reading) bool { return x.ours.Packet.PacketType() == mqttcore.TypeDisconnect && x.body() == 0 },
	},
	{
		library: "paho.golang", versions: only5, right: core, statement: "5.0:MQTT-3.3.4-4",
		what:    "keeps the last of several subscription identifiers",
		example: "30120001610d0b010b022600016b0001760b0178",
		repair: func(x *reading) {
			isID := func(p mqttcore.Property) bool { return p.ID == mqttcore.PropSubscriptionID }
			ids := slices.DeleteFunc(slices.Clone(x.ours.Props), func(p mqttcore.Property) bool { return !isID(p) })
			i := slices.IndexFunc(x.theirs.Props, isID)
			if i >= 0 && len(ids) > 1 && x.theirs.Props[i].Num == ids[len(ids)-1].Num {
				x.theirs.Props = slices.Replace(x.theirs.Props, i, i+1, ids...)
			}
		},
	},
}

// texts are the strings of a packet, without those of its properties, which
// 3.1 does not have.
func (v *view) texts() (all [][]byte) {
	switch p := v.Packet.(type) {
	case *mqttcore.Connect:
		all = [][]byte{p.ClientID, p.Will.Topic, p.Username}
	case *mqttcore.Publish:
		all = [][]byte{p.Topic}
	}
	for _, s := range v.Subscriptions {
		all = append(all, s.Filter)
	}
	return append(all, v.Filters...)
}

// header is the size of the fixed header.
func (x *reading) header() int {
	n := 2
	for x.wire[n-1] >= 0x80 {
		n++
	}
	return n
}

func (x *reading) body() int { return len(x.wire) - x.header() }

// connectFlags is the flags byte of a CONNECT, after name and level.
func (x *reading) connectFlags() byte {
	i := x.header()
	return x.wire[i+2+int(x.wire[i+1])+1]
}

// known reports whether rows of the list explain all that differs.
func (x *reading) known() bool {
	for _, row := range disagreements {
		if row.library != x.library || !slices.Contains(row.versions, x.dialect.Version) {
			continue
		}
		if x.err != nil && row.refused != nil && row.refused(x) {
			return true
		}
		if x.err == nil && row.repair != nil {
			row.repair(x)
		}
	}
	return x.err == nil && cmp.Equal(x.ours, x.theirs, sameData)
}

// TestDisagreements: every row is about something that the library does, and
// without the row it would be a finding.
func TestDisagreements(t *testing.T) {
	rows := disagreements
	defer func() { disagreements = rows }()
	for i, row := range rows {
		t.Run(row.library+" "+row.what, func(t *testing.T) {
			wire := must(hex.DecodeString(row.example))
			d := mqttcore.Dialect{Version: row.versions[0]}
			r := readers[slices.IndexFunc(readers, func(r reader) bool { return r.name == row.library })]
			if disagreements = rows; r.read(t, d, wire).diff == "" {
				t.Fatal("they agree")
			}
			if x := r.read(t, d, wire); !x.known() {
				t.Errorf("not explained:\n%s", x.diff)
			}
			disagreements = slices.Delete(slices.Clone(rows), i, i+1)
			if x := r.read(t, d, wire); x.known() {
				t.Error("explained without this row")
			}
		})
	}
}
