// This file runs the scripts of testdata/script: transcripts of a client, each
// written from the specification. testdata/script/README.md describes their
// form. Every script runs several times, with its input cut into pieces in
// different ways, and after every step the client is examined.

package mqttcore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestScripts runs each script in each of its versions.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	ran, broken := 0, map[Rule]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sc, err := parseScript(string(src))
			if err != nil {
				t.Fatal(err)
			}
			if head := strings.Join(sc.head, " "); !strings.Contains(head, "MQTT-") && !strings.Contains(head, "§") {
				t.Error("the script names no statement")
			}
			got := map[Version][][]string{}
			for _, v := range sc.versions {
				t.Run(v.String(), func(t *testing.T) { got[v] = runScript(t, sc, v, broken) })
			}
			ran++
			if *update && !t.Failed() {
				golden(t, file, []byte(sc.rewrite(got)))
			}
		})
	}
	if ran < len(files) {
		return
	}
	// Every rule of the client's has a script in which a server breaks it.
	for r := ruleFirstPacket; r <= ruleOwnLimit; r++ {
		row := &ruleTable[r]
		for v, statement := range map[Version]string{V31: row.v31, V311: row.v311, V5: row.v5} {
			if rule := Rule(v)<<8 | Rule(r); statement != "" && !broken[rule] {
				t.Errorf("no script breaks %v: %s", rule, rule.Text())
			}
		}
	}
}

// runScript runs a script in one version and compares its transcript, whole
// and in pieces. It notes the rules that the server breaks.
func runScript(t *testing.T, sc *script, v Version, broken map[Rule]bool) [][]string {
	whole, err := transcript(sc, v, nil, false, broken)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sc.steps {
		s := &sc.steps[i]
		if want := s.wanted(v); !*update && !slices.Equal(want, whole[i]) {
			t.Errorf("line %d: %s\n%s", s.number, s.text, cmp.Diff(want, whole[i]))
		}
	}
	journaled, err := transcript(sc, v, nil, true, broken)
	if err != nil {
		t.Fatalf("with a journal: %v", err)
	}
	if diff := cmp.Diff(whole, journaled); diff != "" {
		t.Fatalf("with a journal: another transcript:\n%s", diff)
	}
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 0))
		cut := func(n int) int { return 1 + r.IntN(min(n, 1<<(2*seed))) }
		if seed == 0 {
			cut = func(int) int { return 1 }
		}
		pieces, err := transcript(sc, v, cut, seed%2 == 0, broken)
		if err != nil {
			t.Fatalf("input in pieces, seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Fatalf("input in pieces, seed %d: another transcript:\n%s", seed, diff)
		}
	}
	return whole
}

// script is a parsed file.
type script struct {
	versions   []Version
	moreByHand bool // the script, not the harness, goes on while More
	steps      []scriptStep
	head       []string // lines in front of the first step
}

// scriptStep is one line that does something, and what is expected of it.
type scriptStep struct {
	number   int
	mark     string // versions in brackets, or nothing
	text     string
	versions []Version
	reads    []string // more input of the same read: lines that begin with <+
	want     []expectation
	tail     []string // comments and blank lines behind it
}

type expectation struct {
	versions []Version
	text     string
}

var allVersions = []Version{V31, V311, V5}

// cutMark takes a leading [34] off a line.
func cutMark(line string, all []Version) (versions []Version, mark, rest string, err error) {
	if !strings.HasPrefix(line, "[") {
		return all, "", line, nil
	}
	mark, rest, ok := strings.Cut(line[1:], "] ")
	if !ok {
		return nil, "", "", errors.New("unfinished mark")
	}
	for _, c := range mark {
		if c < '3' || c > '5' {
			return nil, "", "", fmt.Errorf("version %q", c)
		}
		versions = append(versions, Version(c-'0'))
	}
	return versions, "[" + mark + "] ", rest, nil
}

func parseScript(src string) (*script, error) {
	sc := &script{versions: allVersions}
	comments := &sc.head
	for i, line := range strings.Split(strings.TrimRight(src, "\n"), "\n") {
		fault := func(err error) (*script, error) { return nil, fmt.Errorf("line %d: %w", i+1, err) }
		line = strings.TrimRight(line, " ")
		if line == "" || strings.HasPrefix(line, "#") {
			*comments = append(*comments, line)
			continue
		}
		versions, mark, text, err := cutMark(line, sc.versions)
		if err != nil {
			return fault(err)
		}
		last := len(sc.steps) - 1
		word, rest, _ := strings.Cut(text, " ")
		switch {
		case last < 0 && word == "version":
			sc.versions = nil
			for _, s := range strings.Fields(rest) {
				n, err := strconv.Atoi(s)
				if err != nil || n < 3 || n > 5 {
					return fault(fmt.Errorf("version %q", s))
				}
				sc.versions = append(sc.versions, Version(n))
			}
			sc.head = append(sc.head, line)
		case last < 0 && text == "more by hand":
			sc.moreByHand = true
			sc.head = append(sc.head, line)
		case slices.Contains([]string{">", "*", "!", "="}, word):
			if last < 0 || len(sc.steps[last].tail) > 0 {
				return fault(errors.New("an expectation does not follow a step"))
			}
			if mark != "" && !slices.Contains(sc.steps[last].versions, versions[0]) {
				return fault(errors.New("an expectation of a version that does not have the step"))
			}
			sc.steps[last].want = append(sc.steps[last].want, expectation{versions, text})
		case word == "<+":
			if last < 0 || len(sc.steps[last].want)+len(sc.steps[last].tail) > 0 {
				return fault(errors.New("<+ does not follow <"))
			}
			sc.steps[last].reads = append(sc.steps[last].reads, line)
		default:
			sc.steps = append(sc.steps, scriptStep{number: i + 1, mark: mark, text: text, versions: versions})
			comments = &sc.steps[last+1].tail
		}
	}
	return sc, nil
}

// wanted is what is expected of the step in a version.
func (s *scriptStep) wanted(v Version) []string {
	if !slices.Contains(s.versions, v) {
		return nil
	}
	var want []string
	for _, e := range s.want {
		if slices.Contains(e.versions, v) {
			want = append(want, e.text)
		}
	}
	return want
}

// rewrite is the script with the expectations that got has. Lines that differ
// between versions are marked with theirs.
func (sc *script) rewrite(got map[Version][][]string) string {
	lines := slices.Clone(sc.head)
	for i := range sc.steps {
		s := &sc.steps[i]
		lines = append(lines, s.mark+s.text)
		lines = append(lines, s.reads...)
		var vs []Version
		for _, v := range sc.versions {
			if slices.Contains(s.versions, v) {
				vs = append(vs, v)
			}
		}
		if len(vs) > 0 {
			lines = append(lines, merge(got, vs, i)...)
		}
		lines = append(lines, s.tail...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// merge writes what versions have in common plainly, then the rest by groups
// of equal versions.
func merge(got map[Version][][]string, vs []Version, step int) (lines []string) {
	first := got[vs[0]][step]
	common := len(first)
	for _, v := range vs[1:] {
		n := 0
		for n < min(common, len(got[v][step])) && got[v][step][n] == first[n] {
			n++
		}
		common = n
	}
	lines = append(lines, first[:common]...)
	done := map[Version]bool{}
	for _, v := range vs {
		if done[v] {
			continue
		}
		mark := ""
		for _, w := range vs {
			if slices.Equal(got[v][step], got[w][step]) {
				done[w] = true
				mark += strconv.Itoa(int(w))
			}
		}
		for _, text := range got[v][step][common:] {
			lines = append(lines, "["+mark+"] "+text)
		}
	}
	return lines
}

// stage is a running script: a client, its session, the time, and the bytes
// that were received and not taken.
type stage struct {
	v    Version
	cut  func(n int) int // size of the next piece of n bytes; nil: all of them
	hand bool            // More is left to the script
	cfg  Config
	s    *Session
	c    *Client
	now  time.Time
	in   []byte
	open map[uint64]int // tags that wait for their fate

	tokens  []AckToken // in the order in which messages came with them
	replica *Session   // fed by the journal alone
	broken  map[Rule]bool
	chunk   []byte // of the chunks told last in this step
	chunked bool

	out    []byte
	events []string
	errs   []string
	closed bool // EventClosed was told
}

var scriptStart = time.Unix(1_000_000_000, 0)

// transcript runs a script: for each step the lines of what happened.
func transcript(sc *script, v Version, cut func(int) int, journal bool, broken map[Rule]bool) ([][]string, error) {
	st := &stage{v: v, cut: cut, hand: sc.moreByHand, now: scriptStart, open: map[uint64]int{}, replica: new(Session), broken: broken}
	st.cfg.Version, st.cfg.Journal = v, journal
	lines := make([][]string, len(sc.steps))
	for i := range sc.steps {
		s := &sc.steps[i]
		if !slices.Contains(s.versions, v) {
			continue
		}
		st.out, st.events, st.errs, st.chunked = nil, nil, nil, false
		err := st.step(s)
		if err == nil {
			lines[i], err = st.lines(s.wanted(v))
		}
		if err == nil && st.c != nil {
			err = st.examine()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", s.number, s.text, err)
		}
	}
	return lines, nil
}

// lines writes what happened in a step: errors, packets, events, facts.
func (st *stage) lines(want []string) (lines []string, err error) {
	for _, e := range st.errs {
		lines = append(lines, "! "+e)
	}
	d := Dialect{Version: st.v, From: FromClient}
	for b := st.out; len(b) > 0; {
		f, n, err := ConsumeFrame(b, d, MaxPacketSize)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("the client sent % x: %w", b, err)
		}
		p, err := Decode(f, d)
		if err != nil {
			return nil, fmt.Errorf("the client sent % x: %w", b[:n], err)
		}
		if m := st.c.Limits().MaximumPacketSize; m != 0 && n > int(m) && f.Type != TypeConnect {
			return nil, fmt.Errorf("the client sent %d bytes, above the server's maximum of %d", n, m)
		}
		text := "> " + packetText(p)
		if again, err := p.AppendTo(nil, d); err != nil || !bytes.Equal(again, b[:n]) {
			text = "> hex " + hex.EncodeToString(b[:n])
		}
		lines = append(lines, text)
		b = b[n:]
	}
	for _, e := range st.events {
		lines = append(lines, "* "+e)
	}
	for _, w := range want {
		if names, ok := strings.CutPrefix(w, "= "); ok {
			text := "="
			for _, word := range strings.Fields(names) {
				name, _, _ := strings.Cut(word, "=")
				val, err := st.fact(name)
				if err != nil {
					return nil, err
				}
				text += " " + name + "=" + val
			}
			lines = append(lines, text)
		}
	}
	return lines, nil
}

// fact is the value of something that can be asked of a client.
func (st *stage) fact(name string) (string, error) {
	c := st.c
	switch name {
	case "state":
		return c.State().String(), nil
	case "window":
		return strconv.Itoa(c.Window()), nil
	case "more":
		return strconv.FormatBool(c.More()), nil
	case "deadline":
		if c.Deadline().IsZero() {
			return "none", nil
		}
		return c.Deadline().Sub(st.now).String(), nil
	case "id":
		return value(st.s.ClientID()), nil
	case "established":
		return strconv.FormatBool(st.s.Established()), nil
	case "expiry":
		return strconv.FormatUint(uint64(st.s.Expiry()), 10), nil
	case "outgoing":
		return strconv.Itoa(st.s.Len()), nil
	case "incoming":
		return strconv.Itoa(int(st.s.inbox.len())), nil
	}
	for _, x := range []any{c.Limits(), c.Stats()} {
		if f := reflect.ValueOf(x).FieldByName(name); f.IsValid() {
			return strings.ReplaceAll(fmt.Sprint(f.Interface()), " ", ""), nil
		}
	}
	return "", fmt.Errorf("no fact is called %q", name)
}

// step does one step.
func (st *stage) step(s *scriptStep) (err error) {
	word, rest, _ := strings.Cut(s.text, " ")
	if word == "<" {
		in, err := st.input(rest)
		if err != nil {
			return err
		}
		for _, r := range s.reads {
			versions, _, text, err := cutMark(r, []Version{st.v})
			if err != nil {
				return err
			}
			if !slices.Contains(versions, st.v) {
				continue
			}
			b, err := st.input(strings.TrimPrefix(text, "<+ "))
			if err != nil {
				return err
			}
			in = append(in, b...)
		}
		return st.read(in)
	}
	if after, ok := strings.CutPrefix(s.text, "+"); ok {
		d, err := time.ParseDuration(after)
		st.now = st.now.Add(d)
		return err
	}
	f, err := parseFields(s.text)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = f.unknown()
		}
	}()
	call, ok := scriptCalls[f.name]
	if !ok {
		return fmt.Errorf("no step is called %q", f.name)
	}
	if st.c == nil && f.name != "client" && f.name != "session" {
		return errors.New("there is no client")
	}
	return call(st, f)
}

// input is the bytes of a packet, or those after the word hex: hexadecimal
// digits, quoted text, and 00*20 for twenty equal bytes.
func (st *stage) input(text string) (b []byte, err error) {
	digits, isHex := strings.CutPrefix(text, "hex ")
	if !isHex {
		p, err := parsePacket(text)
		if err != nil {
			return nil, err
		}
		if ack, ok := p.(*ConnAck); ok && st.v == V31 {
			ack.SessionPresent = false // 3.1 has no such bit
		}
		return p.AppendTo(nil, Dialect{Version: st.v, From: FromServer})
	}
	words, err := splitWords(digits)
	for _, w := range words {
		var piece []byte
		w, count, times := strings.Cut(w, "*")
		n := 1
		if times {
			if n, err = strconv.Atoi(count); err != nil {
				return nil, err
			}
		}
		if strings.HasPrefix(w, `"`) {
			s, err := strconv.Unquote(w)
			if err != nil {
				return nil, err
			}
			piece = []byte(s)
		} else if piece, err = hex.DecodeString(w); err != nil {
			return nil, err
		}
		b = append(b, bytes.Repeat(piece, n)...)
	}
	return b, err
}

// read gives the client bytes, in pieces, as the loop in the documentation
// does. What the client took is overwritten at once: nothing may point there.
func (st *stage) read(in []byte) error {
	for len(in) > 0 {
		n := len(in)
		if st.cut != nil {
			n = st.cut(n)
		}
		st.in = append(st.in, in[:n]...)
		in = in[n:]
		for {
			taken := 0
			buf := slices.Clone(st.in)
			err := st.do(func(dst []byte) (out []byte, err error) {
				out, taken, err = st.c.Receive(dst, st.now, buf)
				return out, err
			})
			if err != nil {
				return err
			}
			for i := range buf {
				buf[i] = 0xA5
			}
			if len(st.errs) > 0 {
				if !st.closed || st.errs[0] != "ErrClosed" {
					return errors.New(st.errs[0])
				}
				st.errs = nil
				return nil
			}
			st.in = st.in[taken:]
			if taken == 0 {
				break
			}
		}
	}
	return nil
}

// do makes one call, takes the events, and goes on while More. A call that
// fails must leave everything as it was.
func (st *stage) do(call func(dst []byte) ([]byte, error)) error {
	const mark = "what was in dst"
	if st.c.waiting() {
		return errors.New("events are left over")
	}
	before := dumpState(st.c)
	dst := append(make([]byte, 0, 4096), mark...)
	out, err := call(dst)
	if !strings.HasPrefix(string(out), mark) {
		return fmt.Errorf("dst has become %q", out)
	}
	if err != nil {
		st.errs = append(st.errs, errorText(err))
		if len(out) != len(mark) {
			return fmt.Errorf("%w, and bytes were appended: %x", err, out[len(mark):])
		}
		if after := dumpState(st.c); before != after {
			return fmt.Errorf("%w, and the state has changed:\n%s", err, cmp.Diff(before, after))
		}
		return nil
	}
	if st.closed && len(out) > len(mark) {
		return errors.New("bytes after the connection was closed")
	}
	st.out = append(st.out, out[len(mark):]...)
	return errors.Join(st.drain(), st.goOn())
}

// goOn is the loop's "if More, go round again".
func (st *stage) goOn() error {
	for range 10000 {
		if st.hand || !st.c.More() {
			return nil
		}
		n := len(st.out)
		st.out = st.c.Tick(st.out, st.now)
		told := len(st.events)
		if err := st.drain(); err != nil {
			return err
		}
		if len(st.out) == n && len(st.events) == told {
			return errors.New("More, and nothing comes")
		}
	}
	return errors.New("More does not end")
}

// drain takes the events.
func (st *stage) drain() error {
	var ev Event
	for st.c.Next(&ev) {
		if st.closed {
			return fmt.Errorf("an event after EventClosed: %s", eventText(&ev))
		}
		// Where a streamed message is cut into chunks depends on the reads.
		if ev.Kind == EventChunk && st.chunked {
			st.chunk = append(st.chunk, ev.Message.Payload...)
			ev.Message.Payload = st.chunk
			st.events = st.events[:len(st.events)-1]
		} else if st.chunked = ev.Kind == EventChunk; st.chunked {
			st.chunk = append([]byte{}, ev.Message.Payload...)
		}
		text := eventText(&ev)
		if ev.Token != 0 {
			st.tokens = append(st.tokens, ev.Token)
			text += fmt.Sprintf(" token=%d", len(st.tokens))
		}
		st.events = append(st.events, text)
		switch ev.Kind {
		case EventClosed:
			st.closed = true
			var e *Error
			if errors.As(ev.Err, &e) {
				st.broken[e.Rule] = true
			}
		case EventPublished, EventSubscribed, EventUnsubscribed, EventDropped:
			if st.open[ev.Tag] == 0 {
				return fmt.Errorf("a fate that nothing waits for: %s", text)
			}
			st.open[ev.Tag]--
		}
		if again, err := ev.AppendText(nil); err != nil || len(again) == 0 {
			return fmt.Errorf("an event without text: %s", text)
		}
	}
	if !reflect.DeepEqual(ev, Event{}) && ev.Kind == EventNone {
		return errors.New("Next changed the event and returned false")
	}
	return nil
}
