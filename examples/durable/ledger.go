// This file holds what the application itself keeps: a ledger of what it asked
// for and what it got. Each effect is one line of text.

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// ledger is the application's state.
type ledger struct {
	subscribed bool
	asked      int              // messages 1 to asked were given to the client
	settled    map[int][]string // their fates: published, or dropped and why
	received   []string         // payloads, in order of arrival
	distinct   map[string]bool  // the same without repeats
}

// note does one effect: subscribed, asked N, settled N FATE or received "TEXT".
func (l *ledger) note(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "subscribed":
		l.subscribed = true
	case "asked":
		l.asked, err = strconv.Atoi(rest)
	case "settled":
		var n int
		number, fate, _ := strings.Cut(rest, " ")
		n, err = strconv.Atoi(number)
		if l.settled == nil {
			l.settled = map[int][]string{}
		}
		l.settled[n] = append(l.settled[n], fate)
	case "received":
		var text string
		text, err = strconv.Unquote(rest)
		if l.distinct == nil {
			l.distinct = map[string]bool{}
		}
		l.received, l.distinct[text] = append(l.received, text), true
	default:
		err = fmt.Errorf("no effect: %q", line)
	}
	return err
}

// load does the effects of a group.
func (l *ledger) load(lines []byte) error {
	for line := range strings.Lines(string(lines)) {
		if err := l.note(strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// lines are the effects that make the ledger.
func (l *ledger) lines() []byte {
	var b []byte
	if l.subscribed {
		b = append(b, "subscribed\n"...)
	}
	b = fmt.Appendf(b, "asked %d\n", l.asked)
	for n := 1; n <= l.asked; n++ {
		for _, fate := range l.settled[n] {
			b = fmt.Appendf(b, "settled %d %s\n", n, fate)
		}
	}
	for _, text := range l.received {
		b = fmt.Appendf(b, "received %q\n", text)
	}
	return b
}
