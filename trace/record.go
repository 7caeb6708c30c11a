// This file holds the Recorder: streams in, entries out. How a ladder looks is
// decided elsewhere.

package trace

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"mqttcore"
)

// The bounds of a Recorder whose fields are 0.
const (
	DefaultLimit      = 1 << 20
	DefaultMaxEntries = 4096
)

const (
	maxText = 2048 // bytes of text kept an entry
	maxHead = 32   // bytes kept of those that do not parse
)

// Recorder records an exchange between a client and a server. The zero value
// is ready to use; set the fields before the first call. All methods may be
// called by several goroutines at a time. It must not be copied.
type Recorder struct {
	// Version is how packets are read until a CONNECT tells the version;
	// 0 means 5.0.
	Version mqttcore.Version
	// Options are the tolerances with which packets are read.
	Options mqttcore.Options
	// Limit is the size in bytes of the largest packet that is kept to be
	// decoded; 0 means DefaultLimit. Of a larger one only type and size are
	// shown.
	Limit int
	// MaxEntries is how many entries are kept, the last ones; 0 means
	// DefaultMaxEntries.
	MaxEntries int

	mu      sync.Mutex
	version mqttcore.Version // of the last CONNECT; 0: none yet
	client  stream
	server  stream
	start   time.Time // of the first entry
	entries []Entry   // a ring of MaxEntries, once it is full
	total   int       // entries ever
}

// stream is one direction of one connection.
type stream struct {
	buf  []byte // the packet that is not whole yet
	last time.Time
	skip int // bytes to come of a packet that is over the limit
	size int // of that packet
	kind mqttcore.PacketType
	raw  bool // nothing can be read after a violation
	head int  // bytes that may be shown after one
}

// Sent records bytes that the client wrote.
func (r *Recorder) Sent(now time.Time, b []byte) { r.record(now, mqttcore.FromClient, b) }

// Received records bytes that the server wrote.
func (r *Recorder) Received(now time.Time, b []byte) { r.record(now, mqttcore.FromServer, b) }

// Note records an event. FromClient puts it at the client's side, FromServer
// at the server's, FromEither between them.
func (r *Recorder) Note(now time.Time, side mqttcore.Role, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(Entry{Time: now, Kind: KindNote, From: side, Text: clean(text)})
}

// Cut records that the connection ended, and why, as far as one knows. Packets
// of which only a part was seen are lost; the entry counts their bytes. The
// next bytes begin a new connection.
func (r *Recorder) Cut(now time.Time, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text == "" {
		text = "connection lost"
	}
	client, server := r.client.unfinished(), r.server.unfinished()
	switch {
	case client > 0 && server > 0:
		text += " (lost: " + count(client) + " from the client, " + count(server) + " from the server)"
	case client > 0:
		text += " (lost: " + count(client) + " from the client)"
	case server > 0:
		text += " (lost: " + count(server) + " from the server)"
	}
	r.add(Entry{Time: now, Kind: KindCut, Size: client + server, Text: clean(text)})
	r.client, r.server = stream{}, stream{}
}

// Reset forgets everything but the fields that the caller set.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.version, r.client, r.server = 0, stream{}, stream{}
	r.start, r.entries, r.total = time.Time{}, nil, 0
}

// Ladder returns a copy of what is recorded. A packet that is not whole yet
// stands at its end, as an entry of [KindPartial].
func (r *Recorder) Ladder() *Ladder {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &Ladder{Start: r.start, Omitted: r.total - len(r.entries)}
	if n := len(r.entries); n > 0 {
		first := r.total % n // of a ring that is not full, 0
		l.Entries = append(append(l.Entries, r.entries[first:]...), r.entries[:first]...)
	}
	for i := range l.Entries {
		e := &l.Entries[i]
		e.Head = slices.Clip(e.Head) // the recorder may go on in what lies behind
		e.describe()
	}
	l.addPartial(&r.client, mqttcore.FromClient)
	l.addPartial(&r.server, mqttcore.FromServer)
	return l
}

// String is the text ladder of what is recorded.
func (r *Recorder) String() string { return r.Ladder().String() }

func (l *Ladder) addPartial(s *stream, from mqttcore.Role) {
	n := s.unfinished()
	if n == 0 {
		return
	}
	if len(l.Entries) == 0 {
		l.Start = s.last
	}
	t := s.packetType()
	l.Entries = append(l.Entries, Entry{
		Time: s.last, Kind: KindPartial, From: from, Type: t, Size: n,
		Text: t.String() + " unfinished: " + count(n) + " so far",
	})
}

// unfinished is how many bytes of a packet were seen that is not whole.
func (s *stream) unfinished() int {
	if s.skip > 0 {
		return s.size - s.skip
	}
	return len(s.buf)
}

// packetType is that of the packet that is not whole.
func (s *stream) packetType() mqttcore.PacketType {
	if s.skip > 0 {
		return s.kind
	}
	return mqttcore.PacketType(s.buf[0] >> 4)
}

func (r *Recorder) record(now time.Time, from mqttcore.Role, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.client
	if from == mqttcore.FromServer {
		s = &r.server
	}
	if len(b) > 0 {
		s.last = now
	}
	for len(b) > 0 {
		b = b[r.take(now, from, s, b):]
	}
}

// take records the beginning of b and returns its length, 1 or more. The
// header is taken byte by byte, so that a violation in it shows at the same
// byte however the stream was split.
func (r *Recorder) take(now time.Time, from mqttcore.Role, s *stream, b []byte) int {
	if s.raw {
		r.addRaw(now, from, s, b)
		return len(b)
	}
	if s.skip > 0 {
		n := min(s.skip, len(b))
		if s.skip -= n; s.skip == 0 {
			r.add(Entry{Time: now, Kind: KindPacket, From: from, Type: s.kind, Size: s.size,
				Text: s.kind.String() + " of " + count(s.size) + ", not decoded"})
		}
		return n
	}
	n := 1
	if total, ok := mqttcore.FrameSize(s.buf); ok {
		n = min(total-len(s.buf), len(b))
	}
	s.buf = append(s.buf, b[:n]...)
	f, taken, err := r.frame(from, s.buf)
	switch {
	case err != nil:
		r.fail(now, from, s, err)
	case taken > 0:
		text, err := r.decode(from, f, s.buf)
		if err != nil {
			r.fail(now, from, s, err)
			break
		}
		r.add(Entry{Time: now, Kind: KindPacket, From: from, Type: f.Type, Size: taken, Text: text})
		s.buf = s.buf[:0]
	default:
		total, ok := mqttcore.FrameSize(s.buf)
		if ok && total > r.limit() {
			s.kind, s.size, s.skip = s.packetType(), total, total-len(s.buf)
			s.buf = s.buf[:0]
		}
	}
	return n
}

func (r *Recorder) limit() int {
	if r.Limit > 0 {
		return r.Limit
	}
	return DefaultLimit
}

func (r *Recorder) dialect(from mqttcore.Role) mqttcore.Dialect {
	v := r.version
	if v == 0 {
		v = r.Version
	}
	if v == 0 {
		v = mqttcore.V5
	}
	return mqttcore.Dialect{Version: v, From: from, Options: r.Options}
}

// frame consumes the frame in b. The header of a CONNECT is read by the rules
// of 3.1, which allow the most; decode applies those of its version.
func (r *Recorder) frame(from mqttcore.Role, b []byte) (mqttcore.Frame, int, error) {
	d := r.dialect(from)
	if isConnect(from, b) {
		d.Version = mqttcore.V31
	}
	return mqttcore.ConsumeFrame(b, d, 0)
}

func isConnect(from mqttcore.Role, b []byte) bool {
	return from == mqttcore.FromClient && mqttcore.PacketType(b[0]>>4) == mqttcore.TypeConnect
}

// decode returns the text of the packet that f holds and b is.
func (r *Recorder) decode(from mqttcore.Role, f mqttcore.Frame, b []byte) (string, error) {
	d := r.dialect(from)
	suffix := ""
	if isConnect(from, b) {
		v, err := mqttcore.ConnectVersion(f)
		if err != nil {
			return "", err
		}
		r.version, d.Version = v, v
		if _, _, err := mqttcore.ConsumeFrame(b, d, 0); err != nil {
			return "", err
		}
		suffix = " (MQTT " + v.String() + ")"
	}
	p, err := mqttcore.Decode(f, d)
	if err != nil && f.Type == mqttcore.TypeConnAck && d.Version == mqttcore.V5 {
		// A server that does not know 5.0 refuses in the form of 3.1.1.
		d.Version = mqttcore.V311
		var old mqttcore.ConnAck
		if old.Decode(f, d) == nil && old.Code.IsError() {
			p, err, suffix = &old, nil, " (MQTT 3.1.1)"
		}
	}
	if err != nil {
		return "", err
	}
	text, _ := p.AppendText(nil)
	return clean(string(text) + suffix), nil
}

// fail records a violation: what is in the buffer and all that follows it in
// this direction cannot be read.
func (r *Recorder) fail(now time.Time, from mqttcore.Role, s *stream, err error) {
	t := s.packetType()
	s.raw, s.head = true, maxHead
	switch t {
	case mqttcore.TypeConnect:
		s.head = 12 // up to the keep alive
	case mqttcore.TypeAuth, mqttcore.TypeConnAck:
		s.head = 4 // up to the properties
	}
	r.add(Entry{Time: now, Kind: KindInvalid, From: from, Type: t, Err: err})
	r.addRaw(now, from, s, s.buf)
	s.buf = nil
}

// addRaw adds bytes that are no packet to the entry that has just been made
// for the same direction, or else to a new one.
func (r *Recorder) addRaw(now time.Time, from mqttcore.Role, s *stream, b []byte) {
	e := r.latest()
	if e == nil || e.From != from || e.Kind != KindInvalid && e.Kind != KindRaw {
		e = r.add(Entry{Time: now, Kind: KindRaw, From: from})
		if s.head < maxHead {
			s.head = 0 // what may hold a secret goes on here
		}
	}
	e.Size += len(b)
	n := max(0, min(s.head-len(e.Head), len(b)))
	e.Head = append(e.Head, b[:n]...)
}

// add appends an entry, in place of the oldest one when there are too many,
// and returns where it is.
func (r *Recorder) add(e Entry) *Entry {
	if r.total == 0 {
		r.start = e.Time
	}
	limit := r.MaxEntries
	if limit <= 0 {
		limit = DefaultMaxEntries
	}
	if len(r.entries) < limit {
		r.entries = append(r.entries, e)
	} else {
		r.entries[r.total%len(r.entries)] = e
	}
	r.total++
	return r.latest()
}

func (r *Recorder) latest() *Entry {
	if r.total == 0 {
		return nil
	}
	return &r.entries[(r.total-1)%len(r.entries)]
}

// describe writes the text of an entry that is no packet.
func (e *Entry) describe() {
	var b strings.Builder
	switch e.Kind {
	default:
		return
	case KindInvalid:
		b.WriteString("INVALID " + strings.TrimPrefix(e.Err.Error(), "mqttcore: ") + ": ")
	case KindRaw:
		b.WriteString("RAW ")
	}
	b.WriteString(count(e.Size))
	for i, c := range e.Head {
		if i == 0 {
			b.WriteByte(':')
		}
		b.WriteByte(' ')
		b.WriteString(hex.EncodeToString([]byte{c}))
	}
	if len(e.Head) < e.Size {
		b.WriteString(" …")
	}
	e.Text = clean(b.String())
}

func count(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}

// clean makes text fit to be drawn: one line of printable characters, of
// bounded length.
func clean(s string) string {
	if len(s) > maxText {
		n := maxText
		for n > maxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !unicode.IsPrint(c):
			return utf8.RuneError
		}
		return c
	}, s)
}
