// This file records what goes over the links of a world, to be drawn.

package main

import (
	"slices"
	"strings"
	"time"

	"mqttcore"
	"mqttcore/sim"
	"mqttcore/trace"
)

// maxEntries is how many entries of a client are kept.
const maxEntries = 50_000

// ladders records a world. Each connection has a recorder of its own, because
// bytes of one that is over may still arrive when the next one is there.
type ladders struct {
	conns []*recorded // by number
	notes []note
	last  time.Time // when something last happened
	same  int       // how much has happened at that time before
}

type recorded struct {
	client *sim.Host
	rec    trace.Recorder
	over   bool
}

// note is an entry that is no packet, and the host that it happened on.
type note struct {
	host *sim.Host
	trace.Entry
}

// order makes the time of what happens now differ, by less than is shown, from
// that of what happened before at the same time.
func (l *ladders) order(now time.Time) time.Time {
	now = now.Truncate(time.Microsecond)
	if !now.Equal(l.last) {
		l.last, l.same = now, 0
	}
	l.same = min(l.same+1, 999)
	return now.Add(time.Duration(l.same))
}

// watch records what w does from now on.
func (l *ladders) watch(w *sim.World) {
	w.OnData = func(now time.Time, c *sim.Conn, data []byte) {
		r := l.of(c)
		if c.Dialed() {
			r.rec.Sent(l.order(now), data)
		} else {
			r.rec.Received(l.order(now), data)
		}
	}
	w.OnCut = func(now time.Time, c *sim.Conn, err error) {
		r := l.of(c)
		e := trace.Entry{Time: l.order(now), Kind: trace.KindCut, Text: strings.TrimPrefix(err.Error(), "sim: ")}
		if r.over { // the second end is told
			e.Kind, e.From = trace.KindNote, side(c.Dialed())
		}
		r.over = true
		l.notes = append(l.notes, note{r.client, e})
	}
	w.OnNote = func(now time.Time, h *sim.Host, text string) {
		l.notes = append(l.notes, note{h, trace.Entry{Time: l.order(now), Kind: trace.KindNote, Text: text}})
	}
}

func side(client bool) mqttcore.Role {
	if client {
		return mqttcore.FromClient
	}
	return mqttcore.FromServer
}

// of is the recorder of a connection.
func (l *ladders) of(c *sim.Conn) *recorded {
	for int(c.ID()) >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	r := l.conns[c.ID()]
	if r == nil {
		r = &recorded{client: c.Host()}
		if !c.Dialed() {
			r.client = c.Remote()
		}
		r.rec.MaxEntries = maxEntries
		l.conns[c.ID()] = r
	}
	return r
}

// ladder is the exchange of a client, the last n entries of it; 0 is all.
func (l *ladders) ladder(client string, n int) *trace.Ladder {
	d := &trace.Ladder{Left: client, Width: 120}
	clients := map[*sim.Host]bool{}
	for _, r := range l.conns {
		if r == nil {
			continue
		}
		clients[r.client] = true
		if r.client.Name == client {
			c := r.rec.Ladder()
			d.Omitted += c.Omitted
			d.Entries = append(d.Entries, c.Entries...)
		}
	}
	for _, e := range l.notes {
		switch {
		case e.host.Name == client:
			if e.Kind == trace.KindNote && e.From == mqttcore.FromEither {
				e.From = mqttcore.FromClient
			}
		case clients[e.host]:
			continue // of another one
		default:
			e.From = mqttcore.FromServer
		}
		d.Entries = append(d.Entries, e.Entry)
	}
	slices.SortStableFunc(d.Entries, func(a, b trace.Entry) int { return a.Time.Compare(b.Time) })
	if n > 0 && len(d.Entries) > n {
		d.Omitted += len(d.Entries) - n
		d.Entries = d.Entries[len(d.Entries)-n:]
	}
	for i := range d.Entries {
		d.Entries[i].Time = d.Entries[i].Time.Truncate(time.Microsecond)
	}
	if len(d.Entries) > 0 {
		d.Start = d.Entries[0].Time
	}
	return d
}
