package main

import (
	"io"
	"testing"

	"mqttcore"
)

// FuzzList lists any bytes in any version: it must not panic, say that all is
// well exactly when the codec takes every packet, and leave nothing out.
func FuzzList(f *testing.F) {
	for _, p := range packets {
		body, err := parseHex([]byte(p.body))
		if err != nil {
			f.Fatal(err)
		}
		frame := mqttcore.Frame{Type: mqttcore.PacketType(p.first >> 4), Flags: p.first & 15, Body: body}
		f.Add(frame.AppendTo(frame.AppendTo(nil)), uint8(p.version), uint8(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, version, from uint8) {
		d := mqttcore.Dialect{Version: mqttcore.Version(3 + version%3), From: mqttcore.Role(from % 3)}
		l := lister{w: io.Discard, version: d.Version, from: d.From}
		good := true
		for rest := b; good && len(rest) > 0; {
			frame, n, err := mqttcore.ConsumeFrame(rest, d, 0)
			if err == nil && n > 0 {
				_, err = mqttcore.Decode(frame, d)
			}
			good = err == nil && n > 0
			rest = rest[n:]
		}
		if l.list(b) != good {
			t.Errorf("listed as good: %v, decoded: %v", !good, good)
		}
		l.version = 0
		l.list(b)
		if len(b) > 0 {
			at := 0
			for _, r := range walk(b, d.Version, true) {
				if r.off != at || r.size <= 0 {
					t.Fatalf("%q begins at %d after %d, %d bytes", r.field, r.off, at, r.size)
				}
				at += r.size
			}
			if at != len(b) {
				t.Fatalf("rows end at %d of %d", at, len(b))
			}
		}
	})
}
