// This file holds the exploration: which scopes are looked at, what is told of
// them, and how a counterexample is drawn.

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttcore"
	"mqttcore/sim"
	"mqttcore/trace"
)

// exploreGC is what debug.SetGCPercent is told: most of the memory is a table
// that the collector has nothing to do with.
const exploreGC = 100

// exploreOnly are the flags that say nothing but what is explored.
var exploreOnly = []string{"to-broker", "to-client", "at-once", "reconnects", "keepalive", "window", "states"}

func (o *options) exploreFlags(flags *flag.FlagSet) {
	o.scope.ToBroker, o.scope.ToClient = []mqttcore.QoS{2, 2}, []mqttcore.QoS{2, 2}
	o.scope.KeepAlive = 60
	flags.BoolVar(&o.exploring, "explore", false, "explore all that can happen to one client, instead of drawing runs")
	flags.Func("to-broker", "explore messages to the broker, a digit for the `QoS` of each (default 22)", qosList(&o.scope.ToBroker))
	flags.Func("to-client", "explore messages to the client, a digit for the `QoS` of each (default 22)", qosList(&o.scope.ToClient))
	flags.BoolVar(&o.scope.AtOnce, "at-once", false, "explore with all messages of a direction published in one action")
	flags.IntVar(&o.scope.Reconnects, "reconnects", 2, "explore so many `connections` after the first one")
	flags.Func("keepalive", "explore a keep alive of so many `seconds`; 0: none (default 60)", number(&o.scope.KeepAlive))
	flags.Func("window", "explore with at most so many QoS 1 and 2 `messages` under way; 0: any number (default 0)", number(&o.scope.Window))
	flags.IntVar(&o.scope.MaxStates, "states", 0, "give up exploring a version after so many `states`; 0: never")
}

// qosList reads messages by their QoS, given as digits.
func qosList(list *[]mqttcore.QoS) func(string) error {
	return func(text string) error {
		*list = nil
		for _, c := range text {
			if c < '0' || c > '2' {
				return errors.New("is not a list of 0, 1 and 2")
			}
			*list = append(*list, mqttcore.QoS(c-'0'))
		}
		return nil
	}
}

func number(n *uint16) func(string) error {
	return func(text string) error {
		v, err := strconv.ParseUint(text, 10, 16)
		*n = uint16(v)
		return err
	}
}

// explore looks at the scope in each version that is asked for.
func (o *options) explore(stdout, stderr io.Writer) (clean bool, err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(exploreGC))
	versions := []mqttcore.Version{mqttcore.V31, mqttcore.V311, mqttcore.V5}
	if o.Version != 0 {
		versions = []mqttcore.Version{o.Version}
	}
	fmt.Fprintf(stdout, "messages to the broker at QoS %s, to the client at QoS %s; %d reconnects, keep alive %d s, %d cores\n",
		listed(o.scope.ToBroker), listed(o.scope.ToClient), o.scope.Reconnects, o.scope.KeepAlive, o.cores)
	const row = "%-7v  %13s  %13s  %9s  %5v  %10s  %11s\n"
	fmt.Fprintf(stdout, row, "version", "states", "transitions", "settled", "depth", "time", "peak memory")
	for _, v := range versions {
		s := o.scope
		s.Version, s.Workers = v, o.cores
		s.Progress = exploreProgress(v, stderr)
		found := sim.Explore(s)
		fmt.Fprintf(stdout, row, v, grouped(uint64(found.States)), grouped(found.Transitions), grouped(uint64(found.Settled)),
			found.Depth, fmt.Sprintf("%.1f s", found.Elapsed.Seconds()), megabytes(peakMemory()))
		switch {
		case found.Err != nil:
			return false, o.counterexample(s, found, stdout)
		case !found.Complete:
			fmt.Fprintf(stdout, "not complete: %s states were found and not looked at\n", grouped(uint64(found.Frontier)))
			return false, nil
		}
	}
	fmt.Fprintln(stdout, "clean")
	return true, nil
}

func listed(list []mqttcore.QoS) string {
	if len(list) == 0 {
		return "-"
	}
	words := make([]string, len(list))
	for i, q := range list {
		words[i] = strconv.Itoa(int(q))
	}
	return strings.Join(words, ", ")
}

// exploreProgress tells now and then how far an exploration is.
func exploreProgress(v mqttcore.Version, stderr io.Writer) func(sim.Exploration) {
	next := 10 * time.Second
	return func(e sim.Exploration) {
		if e.Elapsed < next {
			return
		}
		next = e.Elapsed + 10*time.Second
		fmt.Fprintf(stderr, "%3.0f s: version %v, %s states, %s transitions, depth %d, %s states of the next depth, %s\n",
			e.Elapsed.Seconds(), v, grouped(uint64(e.States)), grouped(e.Transitions), e.Depth,
			grouped(uint64(e.Frontier)), megabytes(peakMemory()))
	}
}

// peakMemory is the most memory that the process has had, in bytes.
func peakMemory() uint64 {
	if f, err := os.Open("/proc/self/status"); err == nil {
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			if text, ok := strings.CutPrefix(in.Text(), "VmHWM:"); ok {
				if kB, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64); err == nil {
					return kB << 10
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

func megabytes(n uint64) string { return grouped(n>>20) + " MiB" }

// counterexample tells what went wrong, by what actions, and draws it.
func (o *options) counterexample(s sim.Scope, found sim.Exploration, stdout io.Writer) error {
	fmt.Fprintf(stdout, "\nVIOLATION: %v\nversion %v, after %d actions\n\n", found.Err, s.Version, len(found.Trace))
	for i, a := range found.Trace {
		fmt.Fprintf(stdout, "%3d. %v\n", i+1, a)
	}
	ladder := drawTrace(s, found)
	ladder.Title = fmt.Sprintf("%v: %v", s.Version, found.Err)
	fmt.Fprintf(stdout, "\n%v\nviolated\n", ladder)
	if o.svg != "" {
		return drawSVG(o.svg, ladder)
	}
	return nil
}

// drawTrace does a trace again and draws it. Time that is too short to see goes
// by between two things, so that their order is theirs.
func drawTrace(s sim.Scope, found sim.Exploration) *trace.Ladder {
	var order ladders
	var conns []*trace.Recorder
	d := &trace.Ladder{Left: "client", Width: 120}
	note := func(now time.Time, k trace.Kind, from mqttcore.Role, text string) {
		d.Entries = append(d.Entries, trace.Entry{Time: order.order(now), Kind: k, From: from, Text: text})
	}
	_ = s.Replay(found.Trace, sim.Watch{ // which ends with the same
		OnData: func(now time.Time, conn int, client bool, data []byte) {
			for len(conns) < conn {
				conns = append(conns, new(trace.Recorder))
			}
			if r := conns[conn-1]; client {
				r.Sent(order.order(now), data)
			} else {
				r.Received(order.order(now), data)
			}
		},
		OnNote: func(now time.Time, client bool, text string) { note(now, trace.KindNote, side(client), text) },
		OnCut:  func(now time.Time, text string) { note(now, trace.KindCut, mqttcore.FromEither, text) },
	})
	for _, r := range conns {
		d.Entries = append(d.Entries, r.Ladder().Entries...)
	}
	slices.SortStableFunc(d.Entries, func(a, b trace.Entry) int { return a.Time.Compare(b.Time) })
	for i := range d.Entries {
		d.Entries[i].Time = d.Entries[i].Time.Truncate(time.Microsecond)
	}
	if n := len(d.Entries); n > 0 {
		d.Start = d.Entries[0].Time
		d.Entries = append(d.Entries, trace.Entry{Time: d.Entries[n-1].Time, Kind: trace.KindNote, Text: found.Err.Error()})
	}
	return d
}
