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
			got := map[Version][][]string{}
			for _, v := range sc.versions {
				t.Run(v.String(), func(t *testing.T) { got[v] = runScript(t, sc, v) })
			}
			if *update && !t.Failed() {
				golden(t, file, []byte(sc.rewrite(got)))
			}
		})
	}
}

// runScript runs a script in one version and compares its transcript, whole
// and in pieces.
func runScript(t *testing.T, sc *script, v Version) [][]string {
	whole, err := transcript(sc, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sc.steps {
		s := &sc.steps[i]
		if want := s.wanted(v); !*update && !slices.Equal(want, whole[i]) {
			t.Errorf("line %d: %s\n%s", s.number, s.text, cmp.Diff(want, whole[i]))
		}
	}
	if sc.moreByHand {
		return whole
	}
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 0))
		cut := func(n int) int { return 1 + r.IntN(min(n, 1<<(2*seed))) }
		if seed == 0 {
			cut = func(int) int { return 1 }
		}
		pieces, err := transcript(sc, v, cut)
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

	out    []byte
	events []string
	errs   []string
	closed bool // EventClosed was told
}

var scriptStart = time.Unix(1_000_000_000, 0)

// transcript runs a script: for each step the lines of what happened.
func transcript(sc *script, v Version, cut func(int) int) ([][]string, error) {
	st := &stage{v: v, cut: cut, hand: sc.moreByHand, now: scriptStart, open: map[uint64]int{}}
	st.cfg.Version = v
	lines := make([][]string, len(sc.steps))
	for i := range sc.steps {
		s := &sc.steps[i]
		if !slices.Contains(s.versions, v) {
			continue
		}
		st.out, st.events, st.errs = nil, nil, nil
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
	if st.c == nil && f.name != "client" {
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
			if taken == 0 || st.hand && len(st.in) == 0 {
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
		text := eventText(&ev)
		st.events = append(st.events, text)
		switch ev.Kind {
		case EventClosed:
			st.closed = true
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

// scribble destroys what a call was given: the client must have copied it.
func scribble(slices ...[]byte) {
	for _, b := range slices {
		for i := range b {
			b[i] = 0x5A
		}
	}
}

// request counts a tag whose call was accepted.
func (st *stage) request(tag uint64, call func(dst []byte) ([]byte, error)) error {
	return st.do(func(dst []byte) ([]byte, error) {
		out, err := call(dst)
		if err == nil {
			st.open[tag]++
		}
		return out, err
	})
}

// scriptCalls are the steps that call the client. To add one: a row here, a
// line in the README.
var scriptCalls = map[string]func(*stage, *fields) error{
	"session": func(st *stage, f *fields) error {
		st.s = nil
		st.open = map[uint64]int{}
		return nil
	},
	"client": (*stage).newClient,
	"connect": func(st *stage, f *fields) error {
		wasClosed := st.closed
		st.closed = false
		st.in = nil
		err := st.do(func(dst []byte) ([]byte, error) { return st.c.Connect(dst, st.now) })
		if len(st.errs) > 0 {
			st.closed = wasClosed
		}
		return err
	},
	"publish": func(st *stage, f *fields) error {
		var p Publish
		if err := parsePublish(f, &p); err != nil {
			return err
		}
		tag := uint64(f.num("tag"))
		call := func(dst []byte) ([]byte, error) { return st.c.Publish(dst, st.now, &p, tag) }
		err := st.do(func(dst []byte) ([]byte, error) {
			given := p
			out, err := call(dst)
			if !reflect.DeepEqual(given, p) {
				return out, errors.New("the caller's packet was changed")
			}
			if err == nil && p.QoS > 0 {
				st.open[tag]++
			}
			return out, err
		})
		scribble(p.Topic, p.Payload, p.Props.wire)
		return err
	},
	"subscribe": func(st *stage, f *fields) error {
		var p Subscribe
		tag := uint64(f.num("tag"))
		list, err := parseSubscriptions(f)
		if err == nil {
			p.Subscriptions = list
			p.Props, err = NewProperties(f.props...)
		}
		if err != nil {
			st.errs = append(st.errs, errorText(err))
			return nil
		}
		err = st.request(tag, func(dst []byte) ([]byte, error) { return st.c.Subscribe(dst, st.now, &p, tag) })
		scribble(p.Subscriptions.list.wire, p.Props.wire)
		return err
	},
	"unsubscribe": func(st *stage, f *fields) error {
		var p Unsubscribe
		tag := uint64(f.num("tag"))
		list, err := parseFilters(f)
		if err == nil {
			p.Filters = list
			p.Props, err = NewProperties(f.props...)
		}
		if err != nil {
			st.errs = append(st.errs, errorText(err))
			return nil
		}
		err = st.request(tag, func(dst []byte) ([]byte, error) { return st.c.Unsubscribe(dst, st.now, &p, tag) })
		scribble(p.Filters.list.wire, p.Props.wire)
		return err
	},
	"ping": func(st *stage, f *fields) error {
		return st.do(func(dst []byte) ([]byte, error) { return st.c.Ping(dst, st.now) })
	},
	"disconnect": func(st *stage, f *fields) error {
		props, err := NewProperties(f.props...)
		if err != nil {
			return err
		}
		p := &Disconnect{Code: ReasonCode(f.num("code")), Props: props}
		if p.Code == 0 && props.Len() == 0 {
			p = nil
		}
		return st.do(func(dst []byte) ([]byte, error) { return st.c.Disconnect(dst, st.now, p) })
	},
	"auth": func(st *stage, f *fields) error {
		props, err := NewProperties(f.props...)
		if err != nil {
			return err
		}
		p := &Auth{Code: ReasonCode(f.num("code")), Props: props}
		return st.do(func(dst []byte) ([]byte, error) { return st.c.Auth(dst, st.now, p) })
	},
	"lost": func(st *stage, f *fields) error {
		var cause error
		if f.has("cause") {
			cause = errors.New(string(f.bytes("cause")))
		}
		return st.do(func(dst []byte) ([]byte, error) {
			st.c.Lost(st.now, cause)
			return dst, nil
		})
	},
	// tick is done twice: without More the second must change nothing.
	"tick": func(st *stage, f *fields) error {
		err := st.do(func(dst []byte) ([]byte, error) { return st.c.Tick(dst, st.now), nil })
		if err != nil || st.c.More() {
			return err
		}
		before := dumpState(st.c)
		if out := st.c.Tick(nil, st.now); len(out) > 0 {
			return fmt.Errorf("a second Tick sends %x", out)
		}
		if after := dumpState(st.c); before != after {
			return fmt.Errorf("a second Tick changes the state:\n%s", cmp.Diff(before, after))
		}
		return nil
	},
	// show does nothing: facts follow it.
	"show": func(st *stage, f *fields) error { return nil },
}

var scriptOptions = map[string]Options{
	"AllowReservedFlags": AllowReservedFlags, "AllowDupAtQoS0": AllowDupAtQoS0, "AllowLongLengths": AllowLongLengths,
	"AllowShortConnAck": AllowShortConnAck, "AllowPresentWithError": AllowPresentWithError,
	"AllowAnyReason": AllowAnyReason, "AllowSessionPresent": AllowSessionPresent,
	"RefuseControlChars": RefuseControlChars, "RefuseInvalidPayload": RefuseInvalidPayload,
}

// newClient makes a client on the session of the last one, if there is one.
// What the line does not mention stays as it was configured.
func (st *stage) newClient(f *fields) error {
	next := st.cfg
	cfg := &next
	p := Connect{ClientID: cfg.ClientID, CleanStart: cfg.CleanStart, KeepAlive: cfg.KeepAlive,
		Username: cfg.Username, Password: cfg.Password, Props: cfg.Props}
	if err := parseConnect(f, &p); err != nil {
		return err
	}
	cfg.ClientID, cfg.CleanStart, cfg.KeepAlive = p.ClientID, p.CleanStart, p.KeepAlive
	cfg.Username, cfg.Password, cfg.Props = p.Username, p.Password, p.Props
	if f.has("will") {
		cfg.Will = &p.Will
	}
	number := func(name string, set func(int64)) {
		if f.has(name) {
			set(f.num(name))
		}
	}
	duration := func(name string, to *time.Duration) error {
		if !f.has(name) {
			return nil
		}
		d, err := time.ParseDuration(f.raw(name))
		*to = d
		return err
	}
	if err := errors.Join(duration("connect-timeout", &cfg.ConnectTimeout), duration("ping-timeout", &cfg.PingTimeout)); err != nil {
		return err
	}
	number("max-packet-size", func(n int64) { cfg.MaxPacketSize = uint32(n) })
	number("max-incoming", func(n int64) { cfg.MaxIncoming = int(n) })
	number("max-inflight", func(n int64) { cfg.MaxInflight = uint16(n) })
	number("max-queued", func(n int64) { cfg.MaxQueued = int(n) })
	number("max-queued-bytes", func(n int64) { cfg.MaxQueuedBytes = int(n) })
	number("burst", func(n int64) { cfg.Burst = int(n) })
	if f.has("manual-ping") {
		cfg.ManualPing = f.flag("manual-ping")
	}
	if f.has("drop-queued") {
		cfg.DropQueued = f.flag("drop-queued")
	}
	f.has("option")
	for _, name := range f.vals["option"] {
		o, ok := scriptOptions[name]
		if !ok {
			return fmt.Errorf("no option is called %q", name)
		}
		cfg.Options |= o
	}
	c, err := NewClient(*cfg, st.s)
	if err != nil {
		st.errs = append(st.errs, errorText(err))
		return nil
	}
	st.cfg, st.c, st.s, st.closed, st.in = next, c, c.Session(), false, nil
	return nil
}

// dumpState writes everything in a client and its session.
func dumpState(c *Client) string { return fmt.Sprintf("%#v\n%#v", *c, *c.s) }

// examine checks what must hold after every step.
func (st *stage) examine() error {
	c := st.c
	if err := checkClient(c); err != nil {
		return err
	}
	if c.State() != StateDisconnected {
		return nil
	}
	// Without a connection nothing comes out, and nothing changes.
	before := dumpState(c)
	mark := []byte("mark")
	out, n, err := c.Receive(mark, st.now, []byte{0x20, 0x02, 0x00, 0x00})
	if err != ErrClosed || n != 0 || string(out) != "mark" {
		return fmt.Errorf("Receive without a connection: %q %d %v", out, n, err)
	}
	for name, call := range map[string]func() ([]byte, error){
		"Publish":     func() ([]byte, error) { return c.Publish(mark, st.now, &Publish{Topic: []byte("a")}, 1) },
		"Subscribe":   func() ([]byte, error) { return c.Subscribe(mark, st.now, someSubscribe, 1) },
		"Unsubscribe": func() ([]byte, error) { return c.Unsubscribe(mark, st.now, someUnsubscribe, 1) },
		"Ping":        func() ([]byte, error) { return c.Ping(mark, st.now) },
		"Disconnect":  func() ([]byte, error) { return c.Disconnect(mark, st.now, nil) },
		"Auth":        func() ([]byte, error) { return c.Auth(mark, st.now, new(Auth)) },
	} {
		if out, err := call(); err != ErrNotConnected || string(out) != "mark" {
			return fmt.Errorf("%s without a connection: %q %v", name, out, err)
		}
	}
	c.Lost(st.now, nil)
	if c.Window() != 0 || c.More() || c.waiting() || dumpState(c) != before {
		return fmt.Errorf("calls without a connection have changed the state:\n%s", cmp.Diff(before, dumpState(c)))
	}
	return nil
}

var (
	someSubscribe = func() *Subscribe {
		list, _ := NewSubscriptions(Subscription{Filter: []byte("a")})
		return &Subscribe{Subscriptions: list}
	}()
	someUnsubscribe = func() *Unsubscribe {
		list, _ := NewFilters("a")
		return &Unsubscribe{Filters: list}
	}()
)

// checkClient checks a client's bounds, and that its lists, identifiers and
// counters tell the same story.
func checkClient(c *Client) error {
	if w := c.Window(); w < 0 || w > int(c.lim.ReceiveMaximum) {
		return fmt.Errorf("window of %d", w)
	}
	o := &c.s.out
	var used [maxID + 1]bool
	charged, records, waiting := 0, 0, 0
	for l := range listCount {
		prev, n := uint32(0), int32(0)
		for i := o.lists[l].head; i != 0; i = o.slab[i].next {
			r := &o.slab[i]
			if r.list != l || r.prev != prev {
				return fmt.Errorf("record %d is not well linked into list %d", i, l)
			}
			prev = i
			n++
			records++
			switch l {
			case listFree, listDone:
				continue
			case listQueued:
				waiting += len(r.buf)
				if r.id != 0 {
					return fmt.Errorf("a queued message has the identifier %d", r.id)
				}
				continue
			case listSent, listReleased:
				if r.epoch == c.s.epoch {
					charged++
				}
			}
			if r.id == 0 || used[r.id] || o.ids.find(r.id) != i {
				return fmt.Errorf("identifier %d of record %d: zero, in use twice, or not found", r.id, i)
			}
			used[r.id] = true
		}
		if o.lists[l].n != n || o.lists[l].tail != prev {
			return fmt.Errorf("list %d has %d records, and counts %d", l, n, o.lists[l].n)
		}
	}
	if records != max(0, len(o.slab)-1) {
		return fmt.Errorf("%d of %d records are in a list", records, len(o.slab)-1)
	}
	if waiting != o.bytes {
		return fmt.Errorf("%d bytes are queued, and %d counted", waiting, o.bytes)
	}
	for id, slot := range o.ids.slot {
		if slot&idTaken != 0 && !used[id] {
			return fmt.Errorf("identifier %d is taken and belongs to nothing", id)
		}
	}
	fresh, n := 0, int32(0)
	var received [maxID + 1]bool
	for l := range inListCount {
		if c.s.inbox == nil {
			break
		}
		for at := c.s.inbox.lists[l].head; at != 0; at = c.s.inbox.slab[at].next {
			r := &c.s.inbox.slab[at]
			if r.id == 0 || r.qos == QoS2 && (received[r.id] || c.s.inbox.find(r.id) != at) {
				return fmt.Errorf("received identifier %d: zero, twice, or not found", r.id)
			}
			received[r.id] = received[r.id] || r.qos == QoS2
			n++
			if r.epoch == c.s.epoch {
				fresh++
			}
		}
	}
	if n != c.s.inbox.len() {
		return fmt.Errorf("%d received identifiers, and %d counted", n, c.s.inbox.len())
	}
	if c.state == StateConnected && (charged != int(c.conn.inflight) || fresh != int(c.conn.unacked)) {
		return fmt.Errorf("under way: %d out and %d in, and %d and %d counted", charged, fresh, c.conn.inflight, c.conn.unacked)
	}
	if c.state == StateConnected && fresh > c.receiveMaximum() {
		return fmt.Errorf("%d received messages, above the receive maximum", fresh)
	}
	return nil
}
