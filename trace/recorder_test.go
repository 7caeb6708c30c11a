package trace_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
	"mqttcore/trace"
)

var update = flag.Bool("update", false, "write the golden files")

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// step is one call of a Recorder: bytes from the client or the server, or else
// a note or a cut.
type step struct {
	ms     int
	client string
	server string
	note   string
	side   mqttcore.Role
	cut    string
}

// encode encodes packets that are legal.
func encode(v mqttcore.Version, from mqttcore.Role, ps ...mqttcore.Packet) string {
	var b []byte
	for _, p := range ps {
		var err error
		if b, err = p.AppendTo(b, mqttcore.Dialect{Version: v, From: from}); err != nil {
			panic(p.String() + ": " + err.Error())
		}
	}
	return string(b)
}

func client(v mqttcore.Version, ps ...mqttcore.Packet) string {
	return encode(v, mqttcore.FromClient, ps...)
}

func server(v mqttcore.Version, ps ...mqttcore.Packet) string {
	return encode(v, mqttcore.FromServer, ps...)
}

func props(ps ...mqttcore.Property) mqttcore.Properties {
	p, err := mqttcore.NewProperties(ps...)
	if err != nil {
		panic(err)
	}
	return p
}

func subscriptions(subs ...mqttcore.Subscription) mqttcore.Subscriptions {
	l, err := mqttcore.NewSubscriptions(subs...)
	if err != nil {
		panic(err)
	}
	return l
}

// ladderCase is an exchange with a golden file of its name.
type ladderCase struct {
	name  string
	rec   *trace.Recorder // nil: the zero value
	steps []step
	draw  func(*trace.Ladder) // nil: as it comes
}

func cases() []ladderCase {
	const v5, v311, v31 = mqttcore.V5, mqttcore.V311, mqttcore.V31
	connect := &mqttcore.Connect{ClientID: []byte("demo"), CleanStart: true, KeepAlive: 60}
	message := &mqttcore.Publish{Topic: []byte("home/kitchen/light"), Payload: []byte("on"), QoS: 2, ID: 1}
	ack := func(t mqttcore.PacketType) *mqttcore.Ack { return &mqttcore.Ack{Type: t, ID: 1} }
	return []ladderCase{
		{name: "empty"},
		{name: "conversation", draw: func(l *trace.Ladder) { l.Title = "QoS 2, both ways" }, steps: []step{
			{client: client(v5, connect)},
			{ms: 3, server: server(v5, &mqttcore.ConnAck{Props: props(mqttcore.ReceiveMaximum(20), mqttcore.TopicAliasMaximum(10))})},
			{ms: 3, note: "connected", side: mqttcore.FromClient},
			{ms: 4, client: client(v5, &mqttcore.Subscribe{ID: 2, Subscriptions: subscriptions(
				mqttcore.Subscription{Filter: []byte("home/+/light"), QoS: 2, NoLocal: true},
				mqttcore.Subscription{Filter: []byte("$share/g/alarm/#"), QoS: 1})})},
			{ms: 6, server: server(v5, &mqttcore.SubAck{ID: 2, Codes: []byte{2, 1}})},
			{ms: 7, client: client(v5, message)},
			{ms: 9, server: server(v5, ack(mqttcore.TypePubRec))},
			{ms: 9, client: client(v5, ack(mqttcore.TypePubRel))},
			{ms: 11, server: server(v5, ack(mqttcore.TypePubComp))},
			{ms: 12, server: server(v5, &mqttcore.Publish{Topic: []byte("home/hall/light"), Payload: []byte{0xff, 0}, QoS: 1, ID: 7,
				Props: props(mqttcore.ContentType("application/octet-stream"), mqttcore.UserProperty("trace", "a long value that makes the line too long for one arrow, so that it is wrapped"))})},
			{ms: 12, note: "message", side: mqttcore.FromClient},
			{ms: 12, note: "queue empty", side: mqttcore.FromServer},
			{ms: 12, client: client(v5, &mqttcore.Ack{Type: mqttcore.TypePubAck, ID: 7})},
			{ms: 60012, client: client(v5, &mqttcore.Ping{Type: mqttcore.TypePingReq})},
			{ms: 60013, server: server(v5, &mqttcore.Ping{Type: mqttcore.TypePingResp})},
			{ms: 61000, note: "a minute later", side: mqttcore.FromEither},
			{ms: 61000, client: client(v5, &mqttcore.Disconnect{})},
		}},
		{name: "cut", steps: []step{
			{client: client(v31, &mqttcore.Connect{ClientID: []byte("old"), CleanStart: true})},
			{ms: 1, server: server(v31, &mqttcore.ConnAck{})},
			{ms: 2, client: client(v31, message)[:5]},
			{ms: 3, server: "\x40"},
			{ms: 4, cut: "connection reset by peer"},
			{ms: 1004, client: client(v5, connect)},
			{ms: 1005, server: "\x20\x02\x00\x01"},
			{ms: 1006, cut: "closed"},
			{ms: 1007, client: client(v311, connect)},
			{ms: 1008, server: server(v311, &mqttcore.ConnAck{}), client: ""},
			{ms: 1009, client: client(v311, message)[:9]},
			{ms: 1010, server: "\x30\xff\xff\xff\x7fabc"},
		}},
		{name: "violation", steps: []step{
			{client: client(v5, connect)},
			{ms: 1, server: server(v5, &mqttcore.ConnAck{})},
			{ms: 2, server: "\x36\x05\x00\x01a\x00\x01"},
			{ms: 3, server: "\x40\x02\x00\x01"},
			{ms: 4, client: client(v5, &mqttcore.Disconnect{Code: mqttcore.ReasonMalformedPacket})},
			{ms: 5, server: strings.Repeat("more", 20)},
			{ms: 6, cut: ""},
			{ms: 7, client: "\x10\x0d\x00\x04MQTT\x07\x02\x00\x3c\x00\x01a\x00\x06secret"},
			{ms: 8, client: "secret"},
			{ms: 9, cut: "again"},
			{ms: 10, client: "GET / HTTP/1.1\r\n\r\n"},
		}},
		{name: "limits", rec: &trace.Recorder{Version: v311, Limit: 64, MaxEntries: 4},
			draw: func(l *trace.Ladder) { l.Left, l.Right, l.Width, l.Lines = "sensor <1>", "edge & cloud", 60, 2 },
			steps: []step{
				{client: client(v311, &mqttcore.Publish{Topic: []byte("a")})},
				{ms: 1, client: client(v311, &mqttcore.Publish{Topic: []byte("b")})},
				{ms: 2, client: client(v311, &mqttcore.Publish{Topic: []byte("c"), Payload: bytes.Repeat([]byte("x"), 40), QoS: 1, ID: 1})},
				{ms: 3, client: client(v311, &mqttcore.Publish{Topic: []byte("d"), Payload: bytes.Repeat([]byte("x"), 400)})},
				{ms: 4, client: client(v311, &mqttcore.Publish{Topic: []byte(strings.Repeat("<tag>&\"'/", 6))})},
				{ms: 5, note: "line\nbreak, escape \x1b[31m, half a character \xe2\x82 and text that goes on and on and on, until it has to be cut", side: mqttcore.FromServer},
			}},
	}
}

// play gives the steps to a recorder, each piece of bytes split by split.
func play(r *trace.Recorder, steps []step, split func(string) []string) *trace.Recorder {
	if r == nil {
		r = new(trace.Recorder)
	}
	r.Reset()
	for _, s := range steps {
		now := start.Add(time.Duration(s.ms) * time.Millisecond)
		for _, b := range split(s.client) {
			r.Sent(now, []byte(b))
		}
		for _, b := range split(s.server) {
			r.Received(now, []byte(b))
		}
		if s.note != "" {
			r.Note(now, s.side, s.note)
		}
		if s.client+s.server+s.note == "" {
			r.Cut(now, s.cut)
		}
	}
	return r
}

func whole(s string) []string { return []string{s} }

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestLadderGolden(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			l := play(c.rec, c.steps, whole).Ladder()
			if c.draw != nil {
				c.draw(l)
			}
			golden(t, c.name+".txt", []byte(l.String()))
			var b bytes.Buffer
			if err := l.WriteSVG(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".svg", b.Bytes())
			checkDrawings(t, l)
		})
	}
}

// checkDrawings checks what holds for every ladder: the lines of the text are
// equally long, and the image is XML in which every text is found.
func checkDrawings(t *testing.T, l *trace.Ladder) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(l.String(), "\n"), "\n")
	if l.Title != "" {
		lines = lines[1:]
	}
	for _, line := range lines[1:] {
		if n := utf8.RuneCountInString(line); n != utf8.RuneCountInString(lines[1]) {
			t.Errorf("%d characters in line %q", n, line)
		}
	}
	var b bytes.Buffer
	if err := l.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	var titles []string
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the image is not XML: %v", err)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "title" {
			continue
		}
		var s string
		if err := d.DecodeElement(&s, &e); err != nil {
			t.Fatal(err)
		}
		titles = append(titles, s)
	}
	var want []string
	for _, e := range l.Entries {
		want = append(want, e.Text)
	}
	if len(titles) == 0 || !slices.Equal(titles[1:], want) {
		t.Errorf("tool tips: %s", cmp.Diff(want, titles))
	}
}

// Any split of the bytes gives the same entries.
func TestChunking(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	splits := map[string]func(string) []string{
		"bytes": func(s string) (parts []string) {
			for i := range len(s) {
				parts = append(parts, s[i:i+1])
			}
			return parts
		},
		"random": func(s string) (parts []string) {
			for len(s) > 0 {
				n := 1 + rng.IntN(len(s))
				parts, s = append(parts, s[:n], ""), s[n:]
			}
			return parts
		},
	}
	for _, c := range cases() {
		want := play(c.rec, c.steps, whole).Ladder()
		for name, split := range splits {
			for range 20 {
				got := play(c.rec, c.steps, split).Ladder()
				if diff := cmp.Diff(want, got, cmp.Comparer(sameError)); diff != "" {
					t.Fatalf("%s, %s: (-whole +split)\n%s", c.name, name, diff)
				}
			}
		}
	}
}

func sameError(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}

// Every legal CONNECT sets the version of what follows, in both directions.
func TestVersionFromConnect(t *testing.T) {
	for _, v := range []mqttcore.Version{mqttcore.V31, mqttcore.V311, mqttcore.V5} {
		r := &trace.Recorder{Version: mqttcore.V311}
		connect := client(v, &mqttcore.Connect{ClientID: []byte("x"), CleanStart: true})
		accept := server(v, &mqttcore.ConnAck{})
		r.Sent(start, []byte(connect))
		r.Received(start, []byte(accept))
		for _, e := range r.Ladder().Entries {
			if e.Kind != trace.KindPacket || e.Size != len(connect) && e.Size != len(accept) {
				t.Errorf("%v: %+v", v, e)
			}
		}
		if s := r.String(); !strings.Contains(s, "(MQTT "+v.String()+")") {
			t.Errorf("%v: no version in\n%s", v, s)
		}
	}
}

// A remaining length in a longer form is legal in a CONNECT of 3.x only, whose
// version is known when it is whole.
func TestLongLengthInConnect(t *testing.T) {
	for _, v := range []mqttcore.Version{mqttcore.V31, mqttcore.V311, mqttcore.V5} {
		c := client(v, &mqttcore.Connect{ClientID: []byte("x"), CleanStart: true})
		var r trace.Recorder
		long := append([]byte{c[0], c[1] | 0x80, 0}, c[2:]...)
		r.Sent(start, long)
		want := trace.KindPacket
		if v == mqttcore.V5 {
			want = trace.KindInvalid
		}
		l := r.Ladder()
		if len(l.Entries) != 1 || l.Entries[0].Kind != want || l.Entries[0].Size != len(long) {
			t.Errorf("%v:\n%s", v, l)
		}
	}
}

func TestInvalid(t *testing.T) {
	var r trace.Recorder
	r.Received(start, []byte("\x36\x00rest"))
	e := r.Ladder().Entries[0]
	var fault *mqttcore.Error
	if e.Kind != trace.KindInvalid || !errors.As(e.Err, &fault) || e.Type != mqttcore.TypePublish || e.Size != 6 {
		t.Fatalf("%+v", e)
	}
	for _, want := range []string{fault.Rule.String(), "6 bytes: 36 00 72 65 73 74"} {
		if !strings.Contains(e.Text, want) {
			t.Errorf("no %q in %q", want, e.Text)
		}
	}
	// The other direction and the next connection are not affected.
	r.Sent(start, []byte("\xc0\x00"))
	r.Cut(start, "gone")
	r.Received(start, []byte("\xd0\x00"))
	var kinds []trace.Kind
	for _, e := range r.Ladder().Entries {
		kinds = append(kinds, e.Kind)
	}
	want := []trace.Kind{trace.KindInvalid, trace.KindPacket, trace.KindCut, trace.KindPacket}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}

// Bytes of one direction are never counted as the other's.
func TestBothDirectionsInvalid(t *testing.T) {
	var r trace.Recorder
	r.Sent(start, []byte("\x36a"))
	r.Received(start, []byte("\x36bcd"))
	r.Sent(start, []byte("ef"))
	r.Sent(start, []byte("g"))
	type row struct {
		Kind trace.Kind
		From mqttcore.Role
		Head string
	}
	var got []row
	for _, e := range r.Ladder().Entries {
		got = append(got, row{e.Kind, e.From, string(e.Head)})
	}
	want := []row{
		{trace.KindInvalid, mqttcore.FromClient, "\x36a"},
		{trace.KindInvalid, mqttcore.FromServer, "\x36bcd"},
		{trace.KindRaw, mqttcore.FromClient, "efg"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A CONNACK in the form of 3.1.1 answers a CONNECT of 5.0 only to refuse it.
func TestOldConnAck(t *testing.T) {
	for code, want := range []trace.Kind{trace.KindInvalid, trace.KindPacket, trace.KindPacket, trace.KindPacket,
		trace.KindPacket, trace.KindPacket, trace.KindInvalid} {
		var r trace.Recorder
		r.Received(start, []byte{0x20, 2, 0, byte(code)})
		if l := r.Ladder(); l.Entries[0].Kind != want {
			t.Errorf("code %d:\n%s", code, l)
		}
	}
}

// A ladder filled by hand is drawn as safely as a recorded one.
func TestLadderByHand(t *testing.T) {
	l := &trace.Ladder{Title: "a\nb", Left: "c\nd", Right: "e\x00f", Start: start, Entries: []trace.Entry{
		{Time: start, Text: "two\nlines"}, {Time: start.Add(-time.Second), Kind: trace.KindNote, Text: ""},
	}}
	s := l.String()
	if n := strings.Count(s, "\n"); n != 4 || !strings.Contains(s, "two lines") || !strings.Contains(s, "-1.000") {
		t.Errorf("%d lines:\n%s", n, s)
	}
	var b bytes.Buffer
	if err := l.WriteSVG(&b); err != nil || strings.Contains(b.String(), "two&#xA;lines") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// A ladder of nothing but an unfinished packet begins with it.
func TestOnlyPartial(t *testing.T) {
	var r trace.Recorder
	r.Sent(start, []byte("\x10"))
	if l := r.Ladder(); len(l.Entries) != 1 || !l.Start.Equal(start) || !strings.Contains(l.String(), "0.000") {
		t.Errorf("%v\n%s", l.Start, l)
	}
}

// Nothing that may hold a password is shown, whether the packet parses or not.
func TestSecretsAreNotShown(t *testing.T) {
	connect := client(mqttcore.V5, &mqttcore.Connect{ClientID: []byte("x"), CleanStart: true,
		Username: []byte("user"), Password: []byte("hunter2"),
		Props: props(mqttcore.AuthMethod("M"), mqttcore.AuthData("hunter2"))})
	auth := client(mqttcore.V5, &mqttcore.Auth{Code: mqttcore.ReasonContinueAuthentication,
		Props: props(mqttcore.AuthMethod("M"), mqttcore.AuthData("hunter2"))})
	connAck := server(mqttcore.V5, &mqttcore.ConnAck{Props: props(mqttcore.AuthMethod("M"), mqttcore.AuthData("hunter2"))})
	broken := func(s string) string { return s[:1] + string([]byte{s[1] + 1}) + s[2:] + "!" }
	for _, c := range []struct{ name, stream string }{
		{"CONNECT", connect}, {"AUTH", auth},
		{"broken CONNECT", broken(connect)}, {"broken AUTH", broken(auth)},
		{"broken AUTH twice", broken(auth) + auth},
		{"broken CONNACK", broken(connAck)}, {"broken CONNACK flags", connAck[:2] + "\xfe" + connAck[3:]},
		{"broken and short CONNECT", connect[:1] + "\x03" + connect[2:]},
	} {
		for cut := range len(c.stream) { // a note between two pieces begins another entry
			var r trace.Recorder
			say := r.Sent
			if strings.Contains(c.name, "CONNACK") {
				say = r.Received
			}
			say(start, []byte(c.stream[:cut]))
			r.Note(start, mqttcore.FromClient, "tick")
			say(start, []byte(c.stream[cut:]))
			for _, secret := range []string{"hunter2", "68 75 6e 74 65 72 32", "68756e74657232"} {
				if s := r.String(); strings.Contains(s, secret) {
					t.Errorf("%s cut at %d: shown\n%s", c.name, cut, s)
				}
			}
			if broken := strings.HasPrefix(c.name, "broken"); broken != strings.Contains(r.String(), "INVALID") {
				t.Errorf("%s cut at %d:\n%s", c.name, cut, r.String())
			}
		}
	}
}

// The length that a packet declares costs nothing, and entries do not pile up.
func TestMemoryIsBounded(t *testing.T) {
	r := &trace.Recorder{Limit: 1 << 10, MaxEntries: 8}
	piece := make([]byte, 1<<16)
	r.Sent(start, []byte("\x30\xff\xff\xff\x7f"))
	r.Received(start, []byte("\x30\xfb\x07")) // 1,022 bytes, header and all
	if n := testing.AllocsPerRun(100, func() {
		r.Sent(start, piece)
		r.Received(start, piece[:1])
	}); n > 0.5 {
		t.Errorf("%v allocations a piece of an unfinished packet", n)
	}
	for range 100 {
		r.Note(start, mqttcore.FromClient, strings.Repeat("x", 1<<16))
	}
	l := r.Ladder()
	if l.Omitted != 92 || len(l.Entries) != 8+2 {
		t.Errorf("%d left out, %d entries", l.Omitted, len(l.Entries))
	}
	for _, e := range l.Entries {
		if len(e.Text) > 2100 {
			t.Errorf("%d bytes of text", len(e.Text))
		}
	}
}

// The last entries are kept in their order, and times go on from the first.
func TestKeepsTheLast(t *testing.T) {
	r := &trace.Recorder{MaxEntries: 3}
	for i := range 5 {
		r.Note(start.Add(time.Duration(i)*time.Microsecond), mqttcore.FromEither, string(rune('a'+i)))
		l := r.Ladder()
		var got string
		for _, e := range l.Entries {
			got += e.Text
		}
		if want := "abcde"[max(0, i-2) : i+1]; got != want || l.Omitted != max(0, i-2) || !l.Start.Equal(start) {
			t.Errorf("after %d: %q, %d left out, start %v", i+1, got, l.Omitted, l.Start)
		}
	}
	if s := r.String(); !strings.Contains(s, "0.000004") {
		t.Errorf("microseconds are lost:\n%s", s)
	}
}

// A ladder is a copy: what is recorded later does not change it.
func TestLadderIsACopy(t *testing.T) {
	var r trace.Recorder
	r.Sent(start, []byte("\x36ab"))
	l := r.Ladder()
	before := l.String()
	r.Sent(start, []byte("more"))
	_ = append(l.Entries[0].Head, "XX"...)
	if s := r.String(); strings.Contains(s, "58") {
		t.Errorf("the recorder changed:\n%s", s)
	}
	r.Note(start, mqttcore.FromClient, "note")
	if diff := cmp.Diff(before, l.String()); diff != "" {
		t.Error(diff)
	}
}

func TestReset(t *testing.T) {
	var r, fresh trace.Recorder
	r.Sent(start, []byte(client(mqttcore.V311, &mqttcore.Connect{CleanStart: true})+"\x30"))
	r.Received(start, []byte("\xf0"))
	r.Reset()
	for _, r := range []*trace.Recorder{&r, &fresh} {
		r.Received(start.Add(time.Hour), []byte("\x20\x03\x00\x00\x00"))
	}
	if diff := cmp.Diff(fresh.Ladder(), r.Ladder()); diff != "" {
		t.Error(diff)
	}
}

func TestConcurrentUse(t *testing.T) {
	var r trace.Recorder
	var group sync.WaitGroup
	group.Go(func() {
		for range 100 {
			r.Sent(start, []byte("\xc0\x00"))
		}
	})
	group.Go(func() {
		for range 100 {
			r.Received(start, []byte("\xd0\x00"))
		}
	})
	for range 10 {
		_ = r.String()
	}
	group.Wait()
	if n := len(r.Ladder().Entries); n != 200 {
		t.Errorf("%d entries", n)
	}
}

type fullDisk struct{}

var errFull = errors.New("disk full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteSVGError(t *testing.T) {
	if err := new(trace.Ladder).WriteSVG(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

// FuzzRecorder reads its input as a list of calls: a byte that chooses, a byte
// of length, and as many bytes. Nothing may panic, memory stays bounded, and
// splitting the pieces further changes nothing.
func FuzzRecorder(f *testing.F) {
	for _, c := range cases() {
		var b []byte
		for _, s := range c.steps {
			for i, part := range []string{s.client, s.server, s.note, s.cut} {
				for ; len(part) > 255; part = part[255:] {
					b = append(append(b, byte(i), 255), part[:255]...)
				}
				if len(part) > 0 {
					b = append(append(b, byte(i), byte(len(part))), part...)
				}
			}
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := &trace.Recorder{Limit: 256, MaxEntries: 16}
		bytewise := &trace.Recorder{Limit: 256, MaxEntries: 16}
		now := start
		for len(in) >= 2 {
			n := min(int(in[1]), len(in)-2)
			call, part := in[0], in[2:2+n]
			in = in[2+n:]
			now = now.Add(time.Duration(call) * time.Microsecond)
			for _, r := range []*trace.Recorder{r, bytewise} {
				record := [2]func(time.Time, []byte){r.Sent, r.Received}[call%2]
				switch {
				case call%4 == 2:
					r.Note(now, mqttcore.Role(call/4%3), string(part))
				case call%4 == 3:
					r.Cut(now, string(part))
				case r == bytewise:
					for i := range part {
						record(now, part[i:i+1])
					}
				default:
					record(now, part)
				}
			}
		}
		l := r.Ladder()
		if diff := cmp.Diff(l, bytewise.Ladder(), cmp.Comparer(sameError)); diff != "" {
			t.Fatalf("(-whole +bytes)\n%s", diff)
		}
		if len(l.Entries) > 18 {
			t.Errorf("%d entries", len(l.Entries))
		}
		checkDrawings(t, l)
	})
}
