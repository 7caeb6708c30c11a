// This file goes through the packets of the input and prints them. What their
// fields are is known in walk.go; what is wrong with them the codec says.

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"mqttcore"
)

const (
	bytesPerLine = 8
	maxLines     = 4 // of a field, when it is not shown in full
)

// lister prints packets. Its version is 0 when the input has to tell.
type lister struct {
	w       io.Writer
	version mqttcore.Version
	from    mqttcore.Role
	full    bool
}

// list prints the packets in b and reports whether all is well.
func (l *lister) list(b []byte) bool {
	d := mqttcore.Dialect{Version: l.version, From: l.from}
	if l.version == 0 {
		d.Version = firstVersion(b)
	}
	packets, violations, incomplete := 0, 0, false
	for at := 0; at < len(b); {
		rest := b[at:]
		size, sizeKnown := mqttcore.FrameSize(rest)
		whole := sizeKnown && size <= len(rest)
		if whole {
			rest = rest[:size]
		}
		if l.version == 0 && sizeKnown {
			if v, ok := connectVersion(rest); ok {
				d.Version = v
			}
		}
		_, _, _, err := decode(rest, d)
		packets++
		if err != nil {
			violations++
		}
		note := byteCount(len(rest))
		if !whole && sizeKnown {
			note = fmt.Sprintf("%d of %s", len(rest), byteCount(size))
		}
		if at > 0 {
			fmt.Fprintln(l.w)
		}
		fmt.Fprintf(l.w, "packet %d: %s, MQTT %s, %s\n", packets, mqttcore.PacketType(rest[0]>>4), d.Version, note)
		l.packet(at, rest, d.Version, err)
		if !whole {
			if incomplete = err == nil; incomplete {
				l.remark(at+len(rest), "INCOMPLETE", "the input ends within the packet")
			}
		}
		at += len(rest)
	}
	verdict := "no violation"
	if violations > 0 {
		verdict = count(violations, "violation")
	}
	if incomplete {
		verdict += ", the last packet is incomplete"
	}
	if packets > 0 {
		fmt.Fprintln(l.w)
	}
	fmt.Fprintf(l.w, "%s, %s: %s\n", count(packets, "packet"), byteCount(len(b)), verdict)
	return violations == 0 && !incomplete
}

// packet prints the rows of one packet, and err under the row it concerns.
func (l *lister) packet(at int, b []byte, v mqttcore.Version, err error) {
	var e *mqttcore.Error
	off := 0
	if errors.As(err, &e) {
		off = min(e.Off, len(b))
	}
	rows := walk(b, v, l.full)
	width := 0
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r.field))
	}
	for _, r := range rows {
		if e != nil && off < r.off {
			l.violation(at+off, e)
			e = nil
		}
		l.row(at, b, r, width)
	}
	if e != nil {
		l.violation(at+off, e)
	}
}

// row prints a field, on as many lines as its bytes need.
func (l *lister) row(at int, b []byte, r row, width int) {
	for line := 0; line*bytesPerLine < r.size; line++ {
		from := r.off + line*bytesPerLine
		if line == maxLines && !l.full {
			fmt.Fprintf(l.w, "%8s  … %s more\n", "", byteCount(r.off+r.size-from))
			return
		}
		to := min(from+bytesPerLine, r.off+r.size)
		text := fmt.Sprintf("%8d  %-*s", at+from, 3*bytesPerLine, fmt.Sprintf("% x", b[from:to]))
		if line == 0 {
			text += fmt.Sprintf(" %-*s  %s", width, r.field, r.value)
		}
		fmt.Fprintln(l.w, strings.TrimRight(text, " "))
	}
}

func (l *lister) violation(at int, e *mqttcore.Error) {
	l.remark(at, "VIOLATION", fmt.Sprintf("%s %s (0x%02X %s)", e.Rule, e.Rule.Text(), uint8(e.Code), e.Code))
}

func (l *lister) remark(at int, what, text string) {
	fmt.Fprintf(l.w, "%8d  ^^ %s %s\n", at, what, text)
}

// firstVersion is the version of the first CONNECT in b, or 5.0.
func firstVersion(b []byte) mqttcore.Version {
	for len(b) > 0 {
		size, ok := mqttcore.FrameSize(b)
		if !ok {
			break
		}
		size = min(size, len(b))
		if v, ok := connectVersion(b[:size]); ok {
			return v
		}
		b = b[size:]
	}
	return mqttcore.V5
}

// connectVersion is the version that the packet b names, if it is a CONNECT. It
// may be cut after its protocol level.
func connectVersion(b []byte) (mqttcore.Version, bool) {
	if mqttcore.PacketType(b[0]>>4) != mqttcore.TypeConnect {
		return 0, false
	}
	head := 1
	for b[head] >= 0x80 {
		head++
	}
	v, err := mqttcore.ConnectVersion(mqttcore.Frame{Type: mqttcore.TypeConnect, Body: b[head+1:]})
	return v, err == nil
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
