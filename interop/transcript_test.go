// This file holds transcripts: what passed on the connections of a scenario, as
// text that does not depend on what the protocol leaves free. Which differences
// between brokers are expected stands in differences_table_test.go.
//
// A transcript tells of each connection the exchanges that the client began,
// then those that the server began, and who ended it. Each side's are in their
// order, but for messages of different QoS or topic, of which each may overtake
// the other (MQTT-4.6.0-6): they are sorted. What of the two sides came first,
// and which packet identifiers were used, is not told.

package interop

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strings"

	"mqttcore"
)

// book is the transcript of one run of a scenario. A nil book records nothing.
type book struct {
	clients map[string]int // by test
	pages   []*page
	free    bool // what passes depends on time or chance
}

// client is the name of the next client of a test.
func (b *book) client(test string) string {
	if b.clients == nil {
		b.clients = map[string]int{}
	}
	b.clients[test]++
	name := fmt.Sprintf("client %d", b.clients[test])
	if test != "" {
		name = test + ", " + name
	}
	return name
}

// page is the transcript of one connection.
type page struct {
	title   string
	version mqttcore.Version
	part    map[mqttcore.Role][]byte      // of a packet
	begun   map[mqttcore.Role][]*exchange // by who began them
	open    map[exchangeKey]*exchange
	left    bool // the server said DISCONNECT
	end     string
}

// exchange is a packet with all that answer it.
type exchange struct {
	qos     mqttcore.QoS // and topic of the message, if it is one's
	topic   string
	packets []string
}

// exchangeKey names an exchange: who began it, and its packet identifier.
// Exchanges without one have a packet type for it.
type exchangeKey struct {
	by mqttcore.Role
	t  mqttcore.PacketType
	id uint16
}

// page begins a new one.
func (b *book) page(title string, v mqttcore.Version) *page {
	if b == nil {
		return nil
	}
	p := &page{title: title, version: v, part: map[mqttcore.Role][]byte{},
		begun: map[mqttcore.Role][]*exchange{}, open: map[exchangeKey]*exchange{}}
	b.pages = append(b.pages, p)
	return p
}

// passed notes bytes that were sent or received.
func (p *page) passed(from mqttcore.Role, b []byte) {
	if p == nil {
		return
	}
	rest := append(p.part[from], b...)
	for {
		n, ok := mqttcore.FrameSize(rest)
		if !ok || len(rest) < n {
			break
		}
		p.packet(from, rest[:n])
		rest = rest[n:]
	}
	p.part[from] = rest
}

// How connections end.
const (
	byClient = "the client ends it"
	byServer = "the server ends it" // or has said that it does
	byTest   = "the test ends it"
)

// ended notes that the connection is over; the first to say so is right.
func (p *page) ended(how string) {
	if p == nil || p.end != "" {
		return
	}
	if p.end = how; p.left {
		p.end = byServer
	}
}

// begins are the packet types that begin an exchange with an identifier;
// answers are those that answer one, and what they answer.
var (
	begins  = types(mqttcore.TypePublish, mqttcore.TypeSubscribe, mqttcore.TypeUnsubscribe)
	answers = map[mqttcore.PacketType]mqttcore.PacketType{
		mqttcore.TypeConnAck:  mqttcore.TypeConnect,
		mqttcore.TypePubAck:   mqttcore.TypePublish,
		mqttcore.TypePubRec:   mqttcore.TypePublish,
		mqttcore.TypePubComp:  mqttcore.TypePublish,
		mqttcore.TypeSubAck:   mqttcore.TypeSubscribe,
		mqttcore.TypeUnsubAck: mqttcore.TypeUnsubscribe,
		mqttcore.TypePingResp: mqttcore.TypePingReq,
	}
)

// packet puts one packet into the exchange that it belongs to.
func (p *page) packet(from mqttcore.Role, b []byte) {
	text, t, id, begun := p.describe(from, b)
	key := exchangeKey{from, t, id}
	switch to, answer := answers[t]; {
	case answer:
		key = exchangeKey{other(from), to, id}
	case t == mqttcore.TypePubRel:
		key.t = mqttcore.TypePublish
	case t == mqttcore.TypePublish && id == 0:
		key = exchangeKey{}
	}
	x := p.open[key]
	if x == nil || slices.Contains(begins, t) {
		x = &begun
		p.begun[from] = append(p.begun[from], x)
		p.open[key] = x
	}
	p.left = p.left || from == fromServer && t == mqttcore.TypeDisconnect
	arrow := map[mqttcore.Role]string{fromClient: "-> ", fromServer: "<- "}[from]
	x.packets = append(x.packets, arrow+text)
	if t == mqttcore.TypePingResp {
		delete(p.open, key)
	}
}

func other(r mqttcore.Role) mqttcore.Role {
	return map[mqttcore.Role]mqttcore.Role{fromClient: fromServer, fromServer: fromClient}[r]
}

// describe is the text of a packet without its identifier, which is returned, as
// is the exchange that it may begin.
func (p *page) describe(from mqttcore.Role, b []byte) (text string, t mqttcore.PacketType, id uint16, x exchange) {
	d := mqttcore.Dialect{Version: p.version, From: from}
	t = mqttcore.PacketType(b[0] >> 4)
	f, _, err := mqttcore.ConsumeFrame(bytes.Clone(b), d, 0)
	var packet mqttcore.Packet
	if err == nil {
		packet, err = mqttcore.Decode(f, d)
	}
	if err != nil {
		return fmt.Sprintf("% x", b), t, 0, x
	}
	long := ""
	switch p := packet.(type) {
	case *mqttcore.Publish:
		id, x.qos, x.topic, p.ID = p.ID, p.QoS, string(p.Topic), 0
		if len(p.Payload) > 16 { // which the text shows in part
			long = fmt.Sprintf(" (CRC %08x)", crc32.ChecksumIEEE(p.Payload))
		}
		p.Props = ordered(p.Props)
	case *mqttcore.Ack:
		id, p.ID, p.Props = p.ID, 0, ordered(p.Props)
	case *mqttcore.Subscribe:
		id, p.ID = p.ID, 0
	case *mqttcore.SubAck:
		id, p.ID, p.Props = p.ID, 0, ordered(p.Props)
	case *mqttcore.Unsubscribe:
		id, p.ID = p.ID, 0
	case *mqttcore.UnsubAck:
		id, p.ID, p.Props = p.ID, 0, ordered(p.Props)
	case *mqttcore.ConnAck:
		p.Props = ordered(p.Props)
	case *mqttcore.Disconnect:
		p.Props = ordered(p.Props)
		x.qos = 3 // it comes after all messages
	case *mqttcore.Auth:
		p.Props = ordered(p.Props)
	}
	return strings.Replace(packet.String(), " id=0", "", 1) + long, t, id, x
}

// ordered sorts properties by identifier, which their sender need not, and
// leaves those that may come more than once in their order, but for
// subscription identifiers. What remains of a message's life is rounded.
func ordered(p mqttcore.Properties) mqttcore.Properties {
	all := slices.Collect(p.All())
	for i := range all {
		if x := &all[i]; x.ID == mqttcore.PropMessageExpiry {
			x.Num = (x.Num + 5) / 10 * 10
		}
	}
	slices.SortStableFunc(all, func(a, b mqttcore.Property) int {
		if a.ID == b.ID && a.ID == mqttcore.PropSubscriptionID {
			return int(a.Num) - int(b.Num)
		}
		return int(a.ID) - int(b.ID)
	})
	sorted, err := mqttcore.NewProperties(all...)
	if err != nil {
		panic(err) // they were valid in another order
	}
	return sorted
}

var (
	serials  = regexp.MustCompile(`interop([-/])(\d+)`)
	assigned = regexp.MustCompile(`Assigned Client Identifier: ([\w-]+)`)
)

// text is the transcript. Names that the test made up are numbered anew, in
// their order; those that the server made up are one name.
func (b *book) text() string {
	var s strings.Builder
	for _, p := range b.pages {
		fmt.Fprintf(&s, "%s\n", p.title)
		for _, from := range []mqttcore.Role{fromClient, fromServer} {
			p.writeTo(&s, from)
		}
		fmt.Fprintf(&s, "\t%s\n", p.end)
	}
	text := s.String()
	for _, m := range assigned.FindAllStringSubmatch(text, -1) {
		text = strings.ReplaceAll(text, m[1], "ASSIGNED")
	}
	var seen []string // all have as many digits
	for _, m := range serials.FindAllStringSubmatch(text, -1) {
		seen = append(seen, m[2])
	}
	slices.Sort(seen)
	seen = slices.Compact(seen)
	return serials.ReplaceAllStringFunc(text, func(name string) string {
		m := serials.FindStringSubmatch(name)
		i, _ := slices.BinarySearch(seen, m[2])
		return fmt.Sprint(map[string]string{"-": "client-", "/": "topic/"}[m[1]], i+1)
	})
}

// writeTo writes the exchanges that one side began. Those that are the same as
// the one before are counted.
func (p *page) writeTo(s *strings.Builder, from mqttcore.Role) {
	all := slices.Clone(p.begun[from])
	slices.SortStableFunc(all, func(a, b *exchange) int {
		return cmp.Or(int(a.qos)-int(b.qos), strings.Compare(a.topic, b.topic))
	})
	for i := 0; i < len(all); {
		line, n := strings.Join(all[i].packets, ", "), 1
		for i+n < len(all) && strings.Join(all[i+n].packets, ", ") == line {
			n++
		}
		i += n
		if n > 1 {
			line += fmt.Sprintf(" (%d times)", n)
		}
		fmt.Fprintf(s, "\t%s\n", line)
	}
	if rest := p.part[from]; len(rest) > 0 {
		fmt.Fprintf(s, "\tthe first %d bytes of %v\n", len(rest), mqttcore.PacketType(rest[0]>>4))
	}
}
