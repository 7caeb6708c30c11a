// This file holds the Ladder: its entries, how their text is broken into
// lines, and the drawing made of characters. svg.go makes the other one.

package trace

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mqttcore"
)

// Kind says what an Entry is.
type Kind uint8

// The kinds of entries.
const (
	KindPacket  Kind = iota // a whole packet
	KindInvalid             // a packet that breaks a rule, and what followed it
	KindRaw                 // more bytes after such a packet
	KindPartial             // a packet that is not whole yet
	KindNote                // an event
	KindCut                 // the end of a connection
)

// Entry is one thing that happened.
type Entry struct {
	// Time is when it happened: of a packet when its last byte came, of bytes
	// that do not parse when that showed.
	Time time.Time
	Kind Kind
	From mqttcore.Role       // who sent it, or at whose side a note stands
	Type mqttcore.PacketType // of KindPacket, KindInvalid and KindPartial
	Size int                 // in bytes; of KindCut those that were lost
	Head []byte              // of KindInvalid and KindRaw: the first bytes, 32 at most
	Err  error               // of KindInvalid: an *mqttcore.Error, or ErrVersion
	// Text describes it in one line of printable characters, about 2,000 bytes
	// at most.
	Text string
}

// Ladder is a recorded exchange, ready to be drawn. The zero value is an empty
// one; it may also be filled by hand.
type Ladder struct {
	Entries []Entry
	Start   time.Time // what times are relative to
	Omitted int       // how many entries came before those, and were not kept

	Title string // shown above; empty: none
	Left  string // the name of the client's side; empty: client
	Right string // the name of the server's side; empty: broker
	// Width is the width of the text drawing in columns, one a character, at
	// least 40; 0 means 100. The SVG drawing has as much room for text.
	Width int
	// Lines is how many lines the text of an entry may take before it is cut;
	// 0 means 4.
	Lines int
}

// layout is what both drawings share.
type layout struct {
	left, right string
	times       []string
	timeWidth   int
	inner       int // columns between the two life lines
	room        int // columns for a line of text on an arrow
	lines       int
}

func (l *Ladder) layout() layout {
	y := layout{left: clean(l.Left), right: clean(l.Right), lines: l.Lines}
	if y.left == "" {
		y.left = "client"
	}
	if y.right == "" {
		y.right = "broker"
	}
	if y.lines <= 0 {
		y.lines = 4
	}
	width := l.Width
	if width <= 0 {
		width = 100
	}
	decimals := 3
	for _, e := range l.Entries {
		if e.Time.Sub(l.Start)%time.Millisecond != 0 {
			decimals = 6
		}
	}
	for _, e := range l.Entries {
		s := strconv.FormatFloat(e.Time.Sub(l.Start).Seconds(), 'f', decimals, 64)
		y.times = append(y.times, s)
		y.timeWidth = max(y.timeWidth, len(s))
	}
	y.inner = max(width, 40) - y.timeWidth - 4 // two blanks, two life lines
	y.room = y.inner - len("<- ") - len(" ->")
	return y
}

// wrap breaks s into at most n lines of at most width characters, at blanks
// where there are any in the second half of a line. What does not fit is cut.
func wrap(s string, width, n int) []string {
	var lines []string
	for c := []rune(s); len(c) > 0; {
		if len(c) <= width {
			return append(lines, string(c))
		}
		if len(lines) == n-1 {
			return append(lines, string(c[:width-1])+"…")
		}
		end, next := width, width
		for i := width; i > width/2; i-- {
			if c[i] == ' ' {
				end, next = i, i+1
				break
			}
		}
		lines = append(lines, string(c[:end]))
		c = c[next:]
	}
	if lines == nil {
		lines = []string{""}
	}
	return lines
}

// omitted is the line about entries that were not kept.
func (l *Ladder) omitted() string {
	if l.Omitted == 1 {
		return "1 earlier entry left out"
	}
	return strconv.Itoa(l.Omitted) + " earlier entries left out"
}

// String returns the text drawing.
func (l *Ladder) String() string {
	b, _ := l.AppendText(nil)
	return string(b)
}

// AppendText appends the text drawing: a line of names, and for each entry the
// time in seconds since Start and an arrow with its text. The error is nil.
func (l *Ladder) AppendText(dst []byte) ([]byte, error) {
	y := l.layout()
	if l.Title != "" {
		dst = append(append(dst, clean(l.Title)...), '\n')
	}
	gap := y.inner + 2 - utf8.RuneCountInString(y.left) - utf8.RuneCountInString(y.right)
	dst = y.appendTime(dst, "")
	dst = append(append(dst, y.left...), strings.Repeat(" ", max(1, gap))...)
	dst = append(append(dst, y.right...), '\n')
	if l.Omitted > 0 {
		dst = y.appendTime(dst, "")
		dst = append(appendFilled(append(dst, "│"...), "  … ", l.omitted(), " ", "", y.inner), "│\n"...)
	}
	for i := range l.Entries {
		dst = y.appendEntry(dst, &l.Entries[i], y.times[i])
	}
	return dst, nil
}

func (y *layout) appendTime(dst []byte, s string) []byte {
	dst = append(dst, strings.Repeat(" ", y.timeWidth-len(s))...)
	return append(append(dst, s...), "  "...)
}

// appendFilled appends head, text and tail, with fill before the tail, n
// characters in all.
func appendFilled(dst []byte, head, text, fill, tail string, n int) []byte {
	n -= utf8.RuneCountInString(head) + utf8.RuneCountInString(text) + utf8.RuneCountInString(tail)
	dst = append(append(dst, head...), text...)
	dst = append(dst, strings.Repeat(fill, max(0, n))...)
	return append(dst, tail...)
}

// stroke is how an entry is drawn: what goes around the first line of its text,
// and before the others.
type stroke struct{ post, head, fill, tail, next string }

// atServer is the note at the right side; its text is moved there.
var atServer = stroke{"│", "   ", " ", " *", "   "}

func strokeOf(e *Entry) stroke {
	fromClient := e.From != mqttcore.FromServer
	switch {
	case e.Kind == KindCut:
		return stroke{"╳", "╌╌ ", "╌", "", "   "}
	case e.Kind == KindNote && e.From == mqttcore.FromEither:
		return stroke{"│", " · ", " ", "", "   "}
	case e.Kind == KindNote && fromClient:
		return stroke{"│", "* ", " ", "", "  "}
	case e.Kind == KindNote:
		return atServer
	case e.Kind == KindPartial && fromClient:
		return stroke{"│", "╌ ", "╌", "  ", "  "}
	case e.Kind == KindPartial:
		return stroke{"│", "   ", "╌", "", "   "}
	case fromClient:
		return stroke{"│", "─ ", "─", "─>", "  "}
	}
	return stroke{"│", "<─ ", "─", "", "   "}
}

func (y *layout) appendEntry(dst []byte, e *Entry, at string) []byte {
	s := strokeOf(e)
	for i, line := range wrap(clean(e.Text), y.room, y.lines) {
		dst = y.appendTime(dst, at)
		at = ""
		if s == atServer {
			line = strings.Repeat(" ", y.room-utf8.RuneCountInString(line)) + line
		}
		switch {
		case i > 0:
			dst = appendFilled(append(dst, "│"...), s.next, line, " ", "", y.inner)
			dst = append(dst, "│\n"...)
			continue
		case s.fill != " ":
			line += " "
		}
		dst = appendFilled(append(dst, s.post...), s.head, line, s.fill, s.tail, y.inner)
		dst = append(append(dst, s.post...), '\n')
	}
	return dst
}
