// This file holds what makes a run besides its source, the faults that can be
// left out, and how a run is done.

package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"mqttcore/sim"
)

// settings are what a run needs besides its source, to be the same again.
type settings struct {
	sim.Limits
	faults faultSet
}

// faultNames are the faults by name, and how they are left out.
var faultNames = []struct {
	name string
	off  func(k *sim.Knobs)
}{
	{"chunk", func(k *sim.Knobs) { k.Faults.Chunk = 0 }},
	{"cut", func(k *sim.Knobs) { k.Faults.Cut = 0 }},
	{"halfopen", func(k *sim.Knobs) { k.Faults.HalfOpen = 0 }},
	{"refuse", func(k *sim.Knobs) { k.Faults.Refuse = 0 }},
	{"latency", func(k *sim.Knobs) { k.Faults.Latency = 0 }},
	{"jump", func(k *sim.Knobs) { k.Faults.Jump = 0 }},
	{"lose", eachClient(func(c *sim.ClientKnobs) { c.Load.Lose = 0 })},
	{"disconnect", eachClient(func(c *sim.ClientKnobs) { c.Load.Disconnect = 0 })},
	{"commit", eachClient(func(c *sim.ClientKnobs) { c.Load.FailCommit = 0 })},
	{"crash", eachClient(func(c *sim.ClientKnobs) { c.Load.Crash, c.Load.CrashAt = 0, 0 })},
	{"restart", func(k *sim.Knobs) { k.Broker.Restart = 0 }},
	{"amnesia", func(k *sim.Knobs) { k.Broker.Amnesia = 0 }},
	{"forget", func(k *sim.Knobs) { k.Broker.Forget = 0 }},
	{"shrink", func(k *sim.Knobs) { k.Broker.Shrink, k.Broker.Late = false, 0 }},
	{"hostile", func(k *sim.Knobs) { k.Broker.Illegal = 0 }},
}

func eachClient(off func(c *sim.ClientKnobs)) func(k *sim.Knobs) {
	return func(k *sim.Knobs) {
		for i := range k.Clients {
			off(&k.Clients[i])
		}
	}
}

func faultList() string {
	names := make([]string, len(faultNames))
	for i, f := range faultNames {
		names[i] = f.name
	}
	return strings.Join(names, ",")
}

// faultSet says which faults are wanted; the zero value wants all.
type faultSet struct {
	text string
	left []string // those that are left out
}

func (s *faultSet) set(text string) error {
	s.text, s.left = "", nil
	if text == "all" {
		return nil
	}
	var wanted []string
	if text != "none" {
		wanted = strings.Split(text, ",")
	}
	known := strings.Split(faultList(), ",")
	for _, w := range wanted {
		if !slices.Contains(known, w) {
			return fmt.Errorf("%q is none of %s", w, faultList())
		}
	}
	s.text = text
	s.left = slices.DeleteFunc(known, func(f string) bool { return slices.Contains(wanted, f) })
	return nil
}

// draw draws the knobs of a run.
func (s *settings) draw(src sim.Source) sim.Knobs {
	k := sim.Draw(src, s.Limits)
	for _, f := range faultNames {
		if slices.Contains(s.faults.left, f.name) {
			f.off(&k)
		}
	}
	return k
}

// flags are the settings as they are given on the command line.
func (s *settings) flags() string {
	text := fmt.Sprintf(" -clients %d -steps %d", s.Clients, s.Steps)
	if s.Version != 0 {
		text += fmt.Sprintf(" -version %d", s.Version)
	}
	if s.faults.text != "" {
		text += " -faults " + s.faults.text
	}
	return text
}

// panicked is what became of a run that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// run does a run; a panic in it is its error.
func run(src sim.Source, k sim.Knobs, watch func(*sim.World)) (r sim.Report) {
	defer func() {
		if v := recover(); v != nil {
			r = sim.Report{Knobs: k, Err: &panicked{v, debug.Stack()}}
		}
	}()
	return sim.Run(src, k, watch)
}

// offender is the client that an error is about.
func offender(err error) string {
	var c *sim.Contradiction
	if errors.As(err, &c) {
		return c.Client
	}
	return "c0"
}

// kind is what goes wrong, without the numbers in it: two runs with errors of
// the same kind are taken to show the same.
func kind(err error) string {
	if err == nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
}

// violation is a run in which something went wrong.
type violation struct {
	*settings
	name   string
	knobs  sim.Knobs
	report sim.Report
	tape   []byte

	small *violation // the same, smaller; nil: it was not looked for
}

// find is the violation of a seed.
func (s *settings) find(seed uint64) *violation {
	rec := &sim.Recorder{Source: sim.Seed(seed)}
	k := s.draw(rec)
	v := &violation{settings: s, name: fmt.Sprintf("seed %d", seed), knobs: k}
	v.report = run(rec, k, nil)
	v.tape = rec.Taken
	return v
}

// replay does the run of a tape.
func (s *settings) replay(tape []byte, watch func(*sim.World)) sim.Report {
	src := sim.Tape(tape)
	return run(src, s.draw(src), watch)
}

// smallSeeds is how many runs of each smaller size are tried.
const smallSeeds = 1000

// minimise looks for a smaller run in which the same goes wrong: first among
// runs with fewer steps and clients, then by making the tape smaller.
func (v *violation) minimise() {
	want := kind(v.report.Err)
	small := v.among(want)
	if small == nil {
		small = v
	}
	tape := sim.Minimise(small.tape, func(tape []byte) bool { return kind(small.replay(tape, nil).Err) == want })
	report := small.replay(tape, nil)
	v.small = &violation{settings: small.settings, name: small.name, knobs: report.Knobs, report: report, tape: tape}
}

// among looks among smaller runs for one in which the same goes wrong.
func (v *violation) among(want string) *violation {
	for steps := 100; steps < v.Steps; steps *= 2 {
		for clients := 1; clients <= min(2, v.Clients); clients++ {
			s := *v.settings
			s.Steps, s.Clients = steps, clients
			for seed := range uint64(smallSeeds) {
				if small := s.find(seed + 1); kind(small.report.Err) == want {
					return small
				}
			}
		}
	}
	return nil
}

// ladderEntries is how many entries of a ladder a violation is told with.
const ladderEntries = 60

// print tells all about it.
func (v *violation) print(w io.Writer, ladder bool) error {
	fmt.Fprintf(w, "\nVIOLATION: %v\n%s%s, step %d\nknobs: %v\n", v.report.Err, v.name, v.flags(), v.report.Step, v.knobs)
	var p *panicked
	if errors.As(v.report.Err, &p) {
		fmt.Fprintf(w, "%s", p.stack)
	}
	shown := v
	if v.small != nil {
		shown = v.small
		fmt.Fprintf(w, "\nsmaller: %v\ntape of %d bytes (from %d, of %s%s), step %d\nknobs: %v\n",
			shown.report.Err, len(shown.tape), len(v.tape), shown.name, shown.flags(), shown.report.Step, shown.knobs)
		fmt.Fprintf(w, "\nmqttsim%s -tape %x\n", shown.flags(), shown.tape)
	}
	if ladder {
		var lads ladders
		shown.replay(shown.tape, lads.watch)
		fmt.Fprintf(w, "\n%v", lads.ladder(offender(shown.report.Err), ladderEntries))
	}
	_, err := fmt.Fprintln(w, "\nviolated")
	return err
}
