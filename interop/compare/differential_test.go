// This file asks other libraries how they read what the core takes for valid.
// What they are known to read otherwise is in disagreements_test.go.

package compare

import (
	"bufio"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

// A reader is a library that decodes into something that can be looked at.
type reader struct {
	name   string
	speaks []mqttcore.Version
	// view decodes the one packet in wire.
	view func(d mqttcore.Dialect, wire []byte) (view, error)
	// hides reports whether the library cannot tell the property from none.
	hides func(mqttcore.Property) bool
}

var readers = []reader{
	{"mochi", all, viewMochi, mochiHides},
	{"paho.golang", only5, viewPaho5, emptyText},
}

// A reading is one packet that the core takes, and what a library makes of it.
type reading struct {
	library string
	dialect mqttcore.Dialect
	wire    []byte
	ours    view
	theirs  view // nothing when err says why not
	err     error
	diff    string // empty: they read the same
}

// read lets the library read the one packet in wire, which the core takes.
func (r reader) read(t *testing.T, d mqttcore.Dialect, wire []byte) reading {
	t.Helper()
	p, err := decodeOne(d, wire)
	if err != nil {
		t.Fatal(err)
	}
	x := reading{library: r.name, dialect: d, wire: wire, ours: viewCore(p)}
	hidden := func(ps []mqttcore.Property) []mqttcore.Property {
		return append([]mqttcore.Property(nil), slices.DeleteFunc(ps, r.hides)...)
	}
	x.ours.Props, x.ours.Will = hidden(x.ours.Props), hidden(x.ours.Will)
	if x.theirs, x.err = r.view(d, wire); x.err != nil {
		x.diff = "refused: " + x.err.Error()
		return x
	}
	x.diff = cmp.Diff(x.ours, x.theirs, sameData)
	return x
}

// TestReaders: where nothing is known to differ, all read the rows alike.
func TestReaders(t *testing.T) {
	for _, row := range rows {
		if row.packets > 1 {
			continue
		}
		for _, r := range readers {
			if !slices.Contains(r.speaks, row.dialect.Version) {
				continue
			}
			if x := r.read(t, row.dialect, row.wire); x.diff != "" {
				t.Errorf("%s, %s:\n%s", r.name, row.name, x.diff)
			}
		}
	}
}

// vectors yields the legal packets of the core's own vectors, whose form is
// told in codec_vectors_test.go of the core, in all versions that they hold
// for.
func vectors(t testing.TB, yield func(v mqttcore.Version, wire []byte)) {
	t.Helper()
	names := map[string][]mqttcore.Version{"3.1": {mqttcore.V31}, "3.1.1": only311, "5.0": only5, "3.x": only3, "all": all}
	files := must(filepath.Glob("../../testdata/packets/*.txt"))
	n := 0
	for _, file := range files {
		f := must(os.Open(file))
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			line := lines.Text()
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[2] != "ok" {
				continue
			}
			rest := strings.TrimSpace(line[strings.Index(line, " ok ")+4:])
			wire := packetBytes(rest)
			for _, v := range names[fields[0]] {
				yield(v, wire)
				n++
			}
		}
	}
	if n < 200 {
		t.Fatalf("%d vectors in %q", n, files)
	}
}

// packetBytes reads hex and "text", up to a sign that ends them.
func packetBytes(s string) (wire []byte) {
	for s != "" {
		if s[0] == '"' {
			text, rest, _ := strings.Cut(s[1:], `"`)
			wire, s = append(wire, text...), strings.TrimSpace(rest)
			continue
		}
		i := strings.IndexAny(s, ` "`)
		if i < 0 {
			i = len(s)
		}
		b, err := hex.DecodeString(s[:i])
		if err != nil { // -> ! ? #
			return wire
		}
		wire, s = append(wire, b...), strings.TrimSpace(s[i:])
	}
	return wire
}

// FuzzDifferential: what the core takes for a packet, the other libraries take
// for the same packet, or a row of disagreements says why not. The input is the
// first byte and what follows the remaining length, which so is always right.
func FuzzDifferential(f *testing.F) {
	add := func(v mqttcore.Version, from mqttcore.Role, wire []byte) {
		frame, _, err := mqttcore.ConsumeFrame(wire, mqttcore.Dialect{Version: v, From: from}, 0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(v-mqttcore.V31), uint8(from), wire[0], frame.Body)
	}
	for _, r := range rows {
		n, _ := mqttcore.FrameSize(r.wire)
		add(r.dialect.Version, r.dialect.From, r.wire[:n])
	}
	vectors(f, func(v mqttcore.Version, wire []byte) { add(v, mqttcore.FromEither, wire) })
	f.Fuzz(func(t *testing.T, version, from, first uint8, body []byte) {
		d := mqttcore.Dialect{Version: mqttcore.V31 + mqttcore.Version(version%3), From: mqttcore.Role(from % 3)}
		wire := mqttcore.Frame{Type: mqttcore.PacketType(first >> 4), Flags: first & 0x0F, Body: body}.AppendTo(nil)
		p, err := decodeOne(d, wire)
		if err != nil {
			return
		}
		for _, r := range readers {
			if !slices.Contains(r.speaks, d.Version) {
				continue
			}
			if x := r.read(t, d, wire); x.diff != "" && !x.known() {
				t.Errorf("%s, version %d: %x is %v\n%s", r.name, d.Version, wire, p, x.diff)
			}
		}
	})
}
