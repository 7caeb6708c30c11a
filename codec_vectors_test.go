// This file reads the vectors of testdata/packets and holds what is true of
// every one of them. What is true of single functions stands in codec_test.go.
//
// A vector is a line:
//
//	versions sender verdict bytes [-> bytes] [! code statements] [? option …] # comment
//
//   - versions: 3.1, 3.1.1, 5.0, 3.x for the first two, or all
//   - sender: client, server, or both for either of them
//   - verdict: ok; bad; dir, which is bad from this sender and not from the
//     other; more, of which no packet can be told yet
//   - bytes: hex, blanks at will, and "text" for its bytes
//   - after ->: what the decoded packet encodes to, where that differs
//   - after !: the reason code in hex, and the statement for each version
//   - after ?: an option, and what it makes of the packet: -> bytes where it
//     is taken, ! as above where it is refused, neither where it is taken and
//     cannot be encoded

package mqttcore

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// verdict is what a vector says of its bytes.
type verdict struct {
	bytes []byte // what the packet encodes to; nil when it is refused
	code  ReasonCode
	rules []string // nil when it is taken
}

// vector is one line.
type vector struct {
	where    string
	versions []Version
	froms    []Role
	kind     string
	in       []byte
	verdict
	options Options
	with    verdict // the verdict with options
	comment string
}

// dialects yields the dialects of the vector, without options.
func (v *vector) dialects(yield func(Dialect) bool) {
	for _, version := range v.versions {
		for _, from := range v.froms {
			if !yield(Dialect{Version: version, From: from}) {
				return
			}
		}
	}
}

var vectorVersions = map[string][]Version{
	"3.1": {V31}, "3.1.1": {V311}, "5.0": {V5}, "3.x": {V31, V311}, "all": {V31, V311, V5},
}

var vectorSenders = map[string][]Role{
	"client": {FromClient}, "server": {FromServer}, "both": {FromClient, FromServer},
}

var vectorOptions = map[string]Options{
	"AllowReservedFlags":    AllowReservedFlags,
	"AllowDupAtQoS0":        AllowDupAtQoS0,
	"AllowLongLengths":      AllowLongLengths,
	"AllowShortConnAck":     AllowShortConnAck,
	"AllowPresentWithError": AllowPresentWithError,
	"AllowAnyReason":        AllowAnyReason,
	"AllowBridgeLevel":      AllowBridgeLevel,
	"RefuseControlChars":    RefuseControlChars,
	"RefuseInvalidPayload":  RefuseInvalidPayload,
}

// parseVector reads a line.
func parseVector(line string) (v vector, err error) {
	line, v.comment, _ = strings.Cut(line, " # ")
	fields := strings.Fields(line)
	// A text may have blanks in it: join what Fields has cut.
	for i := 0; i < len(fields); i++ {
		for strings.Count(fields[i], `"`)%2 == 1 {
			if i+1 == len(fields) {
				return v, fmt.Errorf("text without end")
			}
			fields[i] += " " + fields[i+1]
			fields = slices.Delete(fields, i+1, i+2)
		}
	}
	if len(fields) < 4 {
		return v, fmt.Errorf("a vector has versions, sender, verdict and bytes")
	}
	v.versions, v.froms, v.kind = vectorVersions[fields[0]], vectorSenders[fields[1]], fields[2]
	if v.versions == nil || v.froms == nil || !strings.Contains(" ok bad dir more ", " "+v.kind+" ") {
		return v, fmt.Errorf("versions %s, sender %s, verdict %s", fields[0], fields[1], v.kind)
	}
	now, mark := &v.verdict, ""
	for _, f := range fields[3:] {
		switch {
		case f == "->" || f == "!":
			mark = f
		case f == "?":
			now, mark = &v.with, f
		case mark == "?":
			if v.options = vectorOptions[f]; v.options == 0 {
				return v, fmt.Errorf("option %s", f)
			}
		case mark == "!" && now.code == 0:
			code, err := strconv.ParseUint(f, 16, 8)
			if err != nil {
				return v, err
			}
			now.code = ReasonCode(code)
		case mark == "!":
			now.rules = append(now.rules, f)
		default:
			b := []byte(strings.Trim(f, `"`))
			if f[0] != '"' {
				if b, err = hex.DecodeString(f); err != nil {
					return v, err
				}
			}
			if mark == "" {
				v.in = append(v.in, b...)
			} else {
				now.bytes = append(now.bytes, b...)
			}
		}
	}
	refused := v.kind == "bad" || v.kind == "dir"
	if refused != (v.rules != nil) {
		return v, fmt.Errorf("verdict %s, statements %v", v.kind, v.rules)
	}
	if v.kind == "ok" && v.bytes == nil {
		v.bytes = v.in
	}
	return v, nil
}

// readVectors reads all of testdata/packets.
func readVectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/packets/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata/packets/*.txt (%v)", err)
	}
	var all []vector
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for n := 1; lines.Scan(); n++ {
			line := lines.Text()
			if line == "" || line[0] == '#' {
				continue
			}
			v, err := parseVector(line)
			v.where = fmt.Sprintf("%s:%d", filepath.Base(file), n)
			if err != nil {
				t.Fatalf("%s: %v", v.where, err)
			}
			all = append(all, v)
		}
	}
	return all
}

// decodeFirst decodes the packet at the start of b: n is its size, 0 when b
// holds less than a packet.
func decodeFirst(b []byte, d Dialect) (p Packet, n int, err error) {
	f, n, err := ConsumeFrame(b, d, 0)
	if err != nil || n == 0 {
		return nil, n, err
	}
	p, err = Decode(f, d)
	return p, n, err
}

// rawFrame takes b apart without looking at what it is. ok is false where only
// the remaining length may be wrong, which a frame does not have.
func rawFrame(b []byte) (f Frame, ok bool) {
	size, n := ConsumeUvarint(b[1:])
	if n <= 0 || 1+n+int(size) != len(b) {
		return Frame{}, false
	}
	return Frame{Type: PacketType(b[0] >> 4), Flags: b[0] & 15, Body: b[1+n:]}, true
}

// wantRefusal checks that err is the verdict's.
func (w *verdict) wantRefusal(t *testing.T, where string, d Dialect, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v: error is %v, want %02x %v", where, d, err, uint8(w.code), w.rules)
		return
	}
	if e.Code != w.code || e.Rule.Version() != d.Version || !slices.Contains(w.rules, e.Rule.String()) {
		t.Errorf("%s: %v: error is %02x %v (%v), want %02x %v", where, d, uint8(e.Code), e.Rule, e, uint8(w.code), w.rules)
	}
}

// wantBytes checks that in is a packet that encodes to the verdict's bytes.
func (w *verdict) wantBytes(t *testing.T, where string, d Dialect, in []byte) {
	t.Helper()
	p, n, err := decodeFirst(in, d)
	if err != nil || n != len(in) {
		t.Errorf("%s: %v: %d bytes taken of %d, error %v", where, d, n, len(in), err)
		return
	}
	if w.bytes == nil {
		return
	}
	out, err := p.AppendTo([]byte("dst"), d)
	if err != nil || string(out) != "dst"+string(w.bytes) {
		t.Errorf("%s: %v: encodes to %x (%v), want %x", where, d, bytes.TrimPrefix(out, []byte("dst")), err, w.bytes)
	}
	if size := p.Size(d); size != len(w.bytes) {
		t.Errorf("%s: %v: Size is %d, want %d", where, d, size, len(w.bytes))
	}
}

// TestPackets checks the verdict of every vector, with and without its option,
// and what FromEither makes of it.
func TestPackets(t *testing.T) {
	for _, v := range readVectors(t) {
		for d := range v.dialects {
			either := Dialect{Version: d.Version}
			switch v.kind {
			case "ok":
				v.wantBytes(t, v.where, d, v.in)
				v.wantBytes(t, v.where, either, v.in)
			case "bad":
				for _, d := range []Dialect{d, either} {
					_, _, err := decodeFirst(v.in, d)
					v.wantRefusal(t, v.where, d, err)
					// A frame that ConsumeFrame did not make is refused by Decode as well.
					if f, ok := rawFrame(v.in); ok {
						_, err = Decode(f, d)
						v.wantRefusal(t, v.where+", as a frame", d, err)
					}
				}
			case "dir":
				_, _, err := decodeFirst(v.in, d)
				v.wantRefusal(t, v.where, d, err)
				other := verdict{bytes: v.in}
				other.wantBytes(t, v.where, either, v.in)
				other.wantBytes(t, v.where, Dialect{Version: d.Version, From: FromClient + FromServer - d.From}, v.in)
			case "more":
				if _, n, err := decodeFirst(v.in, d); n != 0 || err != nil {
					t.Errorf("%s: %v: %d bytes taken, error %v", v.where, d, n, err)
				}
			}
			if v.options == 0 {
				continue
			}
			d.Options = v.options
			if v.with.rules == nil {
				v.with.wantBytes(t, v.where, d, v.in)
				continue
			}
			_, _, err := decodeFirst(v.in, d)
			v.with.wantRefusal(t, v.where, d, err)
			// What an option refuses, it refuses on encode too.
			if v.kind == "ok" {
				p, _, _ := decodeFirst(v.in, Dialect{Version: d.Version, From: d.From})
				out, err := p.AppendTo([]byte("dst"), d)
				v.with.wantRefusal(t, v.where, d, err)
				if string(out) != "dst" {
					t.Errorf("%s: dst is %q after an error", v.where, out)
				}
			}
		}
	}
}

// TestPacketsCover asks for a legal and an illegal vector of every packet type
// in every version and from every sender that has it, and for every option.
func TestPacketsCover(t *testing.T) {
	type key struct {
		version Version
		from    Role
		t       PacketType
		ok      bool
	}
	seen, options := map[key]bool{}, map[Options]bool{}
	for _, v := range readVectors(t) {
		options[v.options] = true
		for d := range v.dialects {
			seen[key{d.Version, d.From, PacketType(v.in[0] >> 4), v.kind == "ok"}] = true
		}
	}
	for _, version := range []Version{V31, V311, V5} {
		for pt := TypeConnect; pt <= TypeAuth; pt++ {
			if pt == TypeAuth && version != V5 {
				continue
			}
			for _, from := range []Role{FromClient, FromServer} {
				sends := ruleOf(frameError([]byte{byte(pt)<<4 | firstFlags(pt), 0}, Dialect{Version: version, From: from})) != ruleDirection
				if sends && !seen[key{version, from, pt, true}] {
					t.Errorf("no legal %v of %v from %v", pt, version, from)
				}
				if !seen[key{version, from, pt, false}] {
					t.Errorf("no illegal %v of %v from %v", pt, version, from)
				}
			}
		}
	}
	for name, o := range vectorOptions {
		if !options[o] {
			t.Errorf("no vector with %s", name)
		}
	}
}

// TestPacketsCoverRules asks for a vector of every error that decoding has, in
// every version that has it.
func TestPacketsCoverRules(t *testing.T) {
	type key struct {
		version Version
		r       rule
	}
	seen := map[key]bool{}
	for _, v := range readVectors(t) {
		for d := range v.dialects {
			for _, d.Options = range []Options{0, v.options} {
				var e *Error
				if _, _, err := decodeFirst(v.in, d); errors.As(err, &e) {
					seen[key{d.Version, rule(e.Rule & 0xFF)}] = true
				}
			}
		}
	}
	// These do not arise from the bytes of one packet: a limit of the caller's,
	// what cannot be encoded, and what a version ignores or does not have.
	elsewhere := map[rule][]Version{
		ruleFlags:            {V31},
		ruleDupQoS0:          {V31},
		ruleConnAckFlags:     {V31},
		rulePresentWithError: {V31},
		ruleWillQoS:          {V31},
		ruleWillRetain:       {V31},
		rulePacketSize:       {V31, V311, V5},
		rulePacketSizeServer: {V31, V311, V5},
		rulePacketIDQoS0:     {V31, V311, V5},
		ruleLongString:       {V31, V311, V5},
		rulePropertyVersion:  {V31, V311},
		ruleReasonPubAck:     {V31, V311},
		ruleReasonPubRec:     {V31, V311},
		ruleReasonPubRel:     {V31, V311},
		ruleReasonPubComp:    {V31, V311},
		ruleReasonDisconnect: {V31, V311},
	}
	for _, version := range []Version{V31, V311, V5} {
		for r := ruleNone + 1; r < ruleFirstPacket; r++ {
			row := ruleTable[r]
			statement := map[Version]string{V31: row.v31, V311: row.v311, V5: row.v5}[version]
			if statement != "" && seen[key{version, r}] == slices.Contains(elsewhere[r], version) {
				t.Errorf("%v: %s: a vector %t", version, row.text, seen[key{version, r}])
			}
		}
	}
	for id, row := range propertyTable {
		r := rule(id)
		if row.name == "" || PropertyID(id) == PropUserProperty {
			continue
		}
		if !seen[key{V5, rulePropertyDuplicate + r}] {
			t.Errorf("%s: no vector has it twice", row.name)
		}
		if k := row.kind; (k == kindBool || k == kindUint16N || k == kindUint32N || k == kindVarintN) &&
			PropertyID(id) != PropTopicAlias && !seen[key{V5, rulePropertyValue + r}] {
			t.Errorf("%s: no vector has a value that it cannot have", row.name)
		}
	}
}

// frameError is the error of ConsumeFrame.
func frameError(b []byte, d Dialect) error {
	_, _, err := ConsumeFrame(b, d, 0)
	return err
}

// firstFlags are the flags that a packet of the type has.
func firstFlags(t PacketType) byte {
	switch t {
	case TypePubRel, TypeSubscribe, TypeUnsubscribe:
		return 2
	}
	return 0
}

// ruleOf is the row of the rule that err reports, or none.
func ruleOf(err error) rule {
	var e *Error
	if !errors.As(err, &e) {
		return ruleNone
	}
	return rule(e.Rule & 0xFF).row()
}

// TestPacketsPrefix: of no truncated packet anything can be told but that
// bytes are missing, or that those there are wrong already.
func TestPacketsPrefix(t *testing.T) {
	for _, v := range readVectors(t) {
		if v.kind != "ok" {
			continue
		}
		for d := range v.dialects {
			for n := range len(v.in) {
				if _, taken, err := decodeFirst(v.in[:n], d); taken != 0 && err == nil {
					t.Errorf("%s: %v: %d of %d bytes are a packet", v.where, d, n, len(v.in))
				}
				total, ok := FrameSize(v.in[:n])
				if ok && total != len(v.in) {
					t.Errorf("%s: FrameSize of %d bytes is %d, want %d", v.where, n, total, len(v.in))
				}
			}
			// The body cut short, with a remaining length that fits: never a panic,
			// and what is taken is a packet of its own.
			f, _, _ := ConsumeFrame(v.in, d, 0)
			for n := range len(f.Body) {
				cut := Frame{Type: f.Type, Flags: f.Flags, Body: f.Body[:n:n]}
				if p, err := Decode(cut, d); err == nil {
					checkCanonical(t, v.where, cut.AppendTo(nil), p, d)
				}
			}
		}
	}
}

// TestPacketsBitFlip: with any one bit changed, a packet is an error, or it is
// another packet, which encodes to exactly those bytes or to their canonical
// form.
func TestPacketsBitFlip(t *testing.T) {
	for _, v := range readVectors(t) {
		if v.kind != "ok" {
			continue
		}
		for d := range v.dialects {
			b := slices.Clone(v.in)
			for i := range 8 * len(b) {
				b[i/8] ^= 1 << (i % 8)
				if p, n, err := decodeFirst(b, d); n > 0 && err == nil {
					checkCanonical(t, v.where, b[:n], p, d)
				}
				b[i/8] ^= 1 << (i % 8)
			}
		}
	}
}

// checkCanonical checks that p, decoded from in, encodes to in or to the
// canonical form of it, and that this decodes to the same packet.
func checkCanonical(t *testing.T, where string, in []byte, p Packet, d Dialect) {
	t.Helper()
	out, err := p.AppendTo(nil, d)
	if err != nil {
		t.Errorf("%s: %v: %x decodes and does not encode: %v", where, d, in, err)
		return
	}
	if bytes.Equal(in, out) {
		return
	}
	if !hasOtherSpelling(in, out, d) {
		t.Errorf("%s: %v: %x encodes to %x", where, d, in, out)
		return
	}
	q, n, err := decodeFirst(out, d)
	if err != nil || n != len(out) {
		t.Errorf("%s: %v: the canonical form %x of %x is refused: %v", where, d, out, in, err)
		return
	}
	if p.String() != q.String() {
		t.Errorf("%s: %v: %x is %v, its canonical form %x is %v", where, d, in, p, out, q)
	}
	if again, err := q.AppendTo(nil, d); err != nil || !bytes.Equal(again, out) {
		t.Errorf("%s: %v: the canonical form %x encodes to %x (%v)", where, d, out, again, err)
	}
}

// hasOtherSpelling reports whether in and out may be two spellings of one
// packet: those that the protocol has, and no others.
func hasOtherSpelling(in, out []byte, d Dialect) bool {
	a, _, _ := ConsumeFrame(in, d, 0)
	b, _, _ := ConsumeFrame(out, d, 0)
	if a.Type != b.Type {
		return false
	}
	switch {
	case d.Version == V5: // short and long forms
		short := a.Type >= TypePubAck && a.Type <= TypePubComp || a.Type == TypeDisconnect
		rest, found := bytes.CutPrefix(a.Body, b.Body)
		return short && found && len(rest) <= 2 && len(bytes.Trim(rest, "\x00")) == 0
	case d.Version == V311: // a longer remaining length
		return a.Flags == b.Flags && bytes.Equal(a.Body, b.Body)
	case a.Type == TypeConnAck: // bits that 3.1 does not use, from here on
		return len(a.Body) == 2 && len(b.Body) == 2 && a.Body[1] == b.Body[1]
	case a.Type == TypeConnect:
		const unused = connectReserved | connectWillQoS | connectWillKeep | connectPassword | connectUsername
		x, y := slices.Clone(a.Body), slices.Clone(b.Body)
		x[9] &^= unused
		y[9] &^= unused
		return bytes.Equal(x, y)
	}
	return bytes.Equal(a.Body, b.Body)
}

// TestPacketsReuse: a struct that held another packet holds the next one
// wholly, and a frame's clone decodes to an equal packet that owns its bytes.
func TestPacketsReuse(t *testing.T) {
	used := map[PacketType]Packet{}
	for _, v := range readVectors(t) {
		for d := range v.dialects {
			f, n, err := ConsumeFrame(v.in, d, 0)
			if n == 0 || err != nil {
				continue
			}
			fresh, err := Decode(f, d)
			p := used[f.Type]
			if p == nil {
				if p = fresh; err == nil {
					used[f.Type] = p
				}
				continue
			}
			if err2 := p.Decode(f, d); (err == nil) != (err2 == nil) {
				t.Errorf("%s: %v: fresh: %v, reused: %v", v.where, d, err, err2)
			}
			if err != nil {
				continue
			}
			a, _ := fresh.AppendTo(nil, d)
			b, err := p.AppendTo(nil, d)
			if err != nil || !bytes.Equal(a, b) {
				t.Errorf("%s: %v: fresh encodes to %x, reused to %x (%v)", v.where, d, a, b, err)
			}
			if !reflect.DeepEqual(fresh, p) {
				t.Errorf("%s: %v: fresh is %#v, reused %#v", v.where, d, fresh, p)
			}

			raw := slices.Clone(v.in)
			g, _, _ := ConsumeFrame(raw, d, 0)
			owned, err := Decode(g.Clone(), d)
			if err != nil {
				t.Errorf("%s: %v: the clone: %v", v.where, d, err)
				continue
			}
			for i := range raw {
				raw[i] = 0xAA
			}
			if !reflect.DeepEqual(fresh, owned) {
				t.Errorf("%s: %v: is %v, the clone's %v", v.where, d, fresh, owned)
			}
		}
	}
}

// TestPacketsAppendHeader: the header and the payload are the packet.
func TestPacketsAppendHeader(t *testing.T) {
	n := 0
	for _, v := range readVectors(t) {
		for d := range v.dialects {
			p, _, err := decodeFirst(v.in, d)
			pub, ok := p.(*Publish)
			if err != nil || !ok {
				continue
			}
			n++
			b, err := pub.AppendHeader(nil, d)
			if err != nil || !bytes.Equal(append(b, pub.Payload...), v.bytes) {
				t.Errorf("%s: %v: header %x (%v)", v.where, d, b, err)
			}
		}
	}
	if n == 0 {
		t.Error("no PUBLISH among the vectors")
	}
}

// TestPacketsFrame: a frame taken apart is the frame put together, legal or
// not.
func TestPacketsFrame(t *testing.T) {
	for _, v := range readVectors(t) {
		for d := range v.dialects {
			f, n, err := ConsumeFrame(v.in, d, 0)
			if n == 0 || err != nil {
				continue
			}
			b := f.AppendTo([]byte("dst"))[3:]
			g, m, err := ConsumeFrame(b, d, uint32(len(b)))
			if err != nil || m != len(b) || g.Type != f.Type || g.Flags != f.Flags || !bytes.Equal(g.Body, f.Body) {
				t.Errorf("%s: %v: %x comes back as %x (%v)", v.where, d, v.in, b, err)
			}
			_, _, err = ConsumeFrame(b, d, uint32(len(b)-1))
			w := verdict{code: ReasonPacketTooLarge, rules: []string{"3.1:§2.1", "3.1.1:§2.2.3", "5.0:MQTT-3.1.2-24"}}
			if d.From == FromClient {
				w.rules[2] = "5.0:MQTT-3.2.2-15"
			}
			w.wantRefusal(t, v.where, d, err)
		}
	}
}
