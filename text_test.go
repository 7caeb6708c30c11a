package mqttcore

import (
	"encoding"
	"strings"
	"testing"
)

var _ = []encoding.TextAppender{
	(*Connect)(nil), (*ConnAck)(nil), (*Publish)(nil), (*Ack)(nil), (*Subscribe)(nil), (*SubAck)(nil),
	(*Unsubscribe)(nil), (*UnsubAck)(nil), (*Ping)(nil), (*Disconnect)(nil), (*Auth)(nil),
	Properties{}, Property{}, Subscription{},
}

func mustProps(t *testing.T, ps ...Property) Properties {
	t.Helper()
	p, err := NewProperties(ps...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPacketText(t *testing.T) {
	subs, err := NewSubscriptions(
		Subscription{Filter: []byte("a/+"), QoS: QoS1},
		Subscription{Filter: []byte("b c"), QoS: QoS2, NoLocal: true, RetainAsPublished: true, RetainHandling: RetainDoNotSend})
	if err != nil {
		t.Fatal(err)
	}
	filters, err := NewFilters("a/+", "b,c")
	if err != nil {
		t.Fatal(err)
	}
	why := mustProps(t, ReasonString("no more"))
	tests := []struct {
		name string
		p    Packet
		want string
	}{
		{"connect", &Connect{ClientID: []byte("c1"), KeepAlive: 60},
			`CONNECT c1 keepalive=60`},
		{"connect with everything", &Connect{
			CleanStart: true, Username: []byte("jo"), Password: []byte("secret"),
			Props: mustProps(t, SessionExpiry(9), AuthMethod("m"), AuthData("secret")),
			Will: Will{Topic: []byte("gone"), Payload: []byte("bye"), QoS: QoS1, Retain: true,
				Props: mustProps(t, WillDelay(5))}},
			`CONNECT "" clean keepalive=0 username=jo password=6 bytes {Session Expiry Interval: 9, Authentication Method: m, Authentication Data: 6 bytes} will gone q1 retain 3 bytes "bye" {Will Delay Interval: 5}`},
		{"empty user name and password", &Connect{ClientID: []byte("c"), Username: []byte{}, Password: []byte{1}},
			`CONNECT c keepalive=0 username="" password=1 byte`},
		{"accepted", &ConnAck{SessionPresent: true}, `CONNACK Success session present`},
		{"refused", &ConnAck{Code: ReasonNotAuthorized, Props: why}, `CONNACK Not authorized {Reason String: "no more"}`},
		{"publish", &Publish{Topic: []byte("a/b"), Payload: []byte("hello"), QoS: QoS1, ID: 7, Dup: true, Retain: true,
			Props: mustProps(t, ContentType("text/plain"))},
			`PUBLISH a/b q1 id=7 dup retain 5 bytes "hello" {Content Type: text/plain}`},
		{"no payload", &Publish{Topic: []byte("a b")}, `PUBLISH "a b" q0 0 bytes`},
		{"binary payload", &Publish{Topic: []byte("t"), Payload: []byte{0, 0xAB, 'c'}}, `PUBLISH t q0 3 bytes 0x00ab63`},
		{"text of several lines", &Publish{Topic: []byte("t"), Payload: []byte("a\tb\n\"")}, `PUBLISH t q0 5 bytes "a\tb\n\""`},
		{"long payload", &Publish{Topic: []byte("t"), Payload: []byte(strings.Repeat("x", 1000))},
			`PUBLISH t q0 1000 bytes "` + strings.Repeat("x", 32) + `"…`},
		{"cut before a character, not in it", &Publish{Topic: []byte("t"), Payload: []byte(strings.Repeat("x", 30) + "世界")},
			`PUBLISH t q0 36 bytes "` + strings.Repeat("x", 30) + `"…`},
		{"long binary payload", &Publish{Topic: []byte("t"), Payload: make([]byte, 33)},
			`PUBLISH t q0 33 bytes 0x` + strings.Repeat("00", 32) + `…`},
		{"long topic", &Publish{Topic: []byte(strings.Repeat("é", 40)), Payload: []byte("x")},
			`PUBLISH ` + strings.Repeat("é", 32) + `… q0 1 byte "x"`},
		{"topic that is not UTF-8", &Publish{Topic: []byte("a\xff")}, `PUBLISH "a\xff" q0 0 bytes`},
		{"acknowledged", &Ack{Type: TypePubAck, ID: 7}, `PUBACK id=7`},
		{"repeated release", &Ack{Type: TypePubRel, ID: 7, Dup: true}, `PUBREL id=7 dup`},
		{"unknown identifier", &Ack{Type: TypePubComp, ID: 7, Code: ReasonPacketIdentifierNotFound, Props: why},
			`PUBCOMP id=7 Packet Identifier not found {Reason String: "no more"}`},
		{"subscribe to nothing", &Subscribe{ID: 8}, `SUBSCRIBE id=8 []`},
		{"unsubscribe nothing", &Unsubscribe{ID: 8}, `UNSUBSCRIBE id=8 []`},
		{"subscribe", &Subscribe{ID: 8, Dup: true, Subscriptions: subs, Props: mustProps(t, SubscriptionID(3))},
			`SUBSCRIBE id=8 dup [a/+ q1, "b c" q2 no local retain as published retain handling 2] {Subscription Identifier: 3}`},
		{"subscribed", &SubAck{ID: 8, Codes: []byte{0, 1, 2, 0x87}}, `SUBACK id=8 [q0, q1, q2, Not authorized]`},
		{"unsubscribe", &Unsubscribe{ID: 9, Filters: filters}, `UNSUBSCRIBE id=9 [a/+, "b,c"]`},
		{"unsubscribed", &UnsubAck{ID: 9, Codes: []byte{0, 0x11}, Props: why},
			`UNSUBACK id=9 [Success, No subscription existed] {Reason String: "no more"}`},
		{"unsubscribed in 3.x", &UnsubAck{ID: 9}, `UNSUBACK id=9`},
		{"ping", &Ping{Type: TypePingReq}, `PINGREQ`},
		{"disconnect", &Disconnect{}, `DISCONNECT`},
		{"disconnect with a reason", &Disconnect{Code: ReasonServerBusy, Props: why}, `DISCONNECT Server busy {Reason String: "no more"}`},
		{"auth", &Auth{Code: ReasonContinueAuthentication, Props: mustProps(t, AuthMethod("m"), AuthData("\x00\x01"))},
			`AUTH Continue authentication {Authentication Method: m, Authentication Data: 2 bytes}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.p.String(); got != test.want {
				t.Errorf("String\n got %s\nwant %s", got, test.want)
			}
			got, err := test.p.AppendText([]byte("> "))
			if string(got) != "> "+test.want || err != nil {
				t.Errorf("AppendText: %s, %v", got, err)
			}
		})
	}
}

func TestPropertyText(t *testing.T) {
	tests := []struct {
		name string
		p    interface{ String() string }
		want string
	}{
		{"none", Properties{}, `{}`},
		{"several", mustProps(t, TopicAlias(3), UserProperty("k", "v w"), CorrelationData("\x00")),
			`{Topic Alias: 3, User Property: k="v w", Correlation Data: 0x00}`},
		{"topic", ResponseTopic("a/b"), `Response Topic: a/b`},
		{"printable binary", CorrelationData("id 1"), `Correlation Data: "id 1"`},
		{"variable byte integer", SubscriptionID(268435455), `Subscription Identifier: 268435455`},
		{"unknown", Property{ID: 0xFF, Num: 5}, `unknown property: 5`},
		{"subscription", Subscription{Filter: []byte("a/#"), RetainHandling: RetainSendIfNew}, `a/# q0 retain handling 1`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.p.String(); got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		p    interface{ String() string }
		want string
	}{
		{PacketType(0), "packet"}, {TypeConnect, "CONNECT"}, {TypeConnAck, "CONNACK"}, {TypePublish, "PUBLISH"},
		{TypePubAck, "PUBACK"}, {TypePubRec, "PUBREC"}, {TypePubRel, "PUBREL"}, {TypePubComp, "PUBCOMP"},
		{TypeSubscribe, "SUBSCRIBE"}, {TypeSubAck, "SUBACK"}, {TypeUnsubscribe, "UNSUBSCRIBE"}, {TypeUnsubAck, "UNSUBACK"},
		{TypePingReq, "PINGREQ"}, {TypePingResp, "PINGRESP"}, {TypeDisconnect, "DISCONNECT"}, {TypeAuth, "AUTH"},
		{PacketType(16), "packet"},
		{V31, "3.1"}, {V311, "3.1.1"}, {V5, "5.0"}, {Version(9), "version 9"},
		{FromEither, "either"}, {FromClient, "client"}, {FromServer, "server"}, {Role(3), "role 3"},
		{QoS0, "QoS 0"}, {QoS2, "QoS 2"},
	}
	for _, test := range tests {
		if got := test.p.String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
