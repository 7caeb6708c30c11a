// This file holds what is told of a run in one line, and of many in a table.

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"mqttcore/sim"
)

// enough is how many runs of all versions and with all faults must have reached
// every rare state.
const enough = 5000

// line is what is told of a run.
type line struct {
	Seed     uint64            `json:"seed"`
	Steps    uint64            `json:"steps"`
	Packets  uint64            `json:"packets"`
	Messages uint64            `json:"messages"`
	Virtual  float64           `json:"virtual_seconds"`
	Hash     string            `json:"hash"`
	Faults   map[string]uint64 `json:"faults"`
	States   map[string]uint64 `json:"states"`
	Filtered bool              `json:"filtered,omitempty"` // rare states may be missing
	Error    string            `json:"error,omitempty"`
	Knobs    string            `json:"knobs,omitempty"` // when there is an error
}

// usual are the least limits with which rare states are expected.
var usual = sim.Limits{Clients: 3, Steps: 1000}

// line is that of a run with the settings.
func (s *settings) line(seed uint64, r sim.Report) line {
	l := line{
		Seed: seed, Steps: r.Step, Packets: r.Packets, Messages: uint64(r.Messages), Virtual: r.Virtual.Seconds(),
		Hash: fmt.Sprintf("%016x", r.Hash), Faults: map[string]uint64{}, States: map[string]uint64{},
		Filtered: s.Version != 0 || s.faults.text != "" || s.Clients < usual.Clients || s.Steps < usual.Steps,
	}
	for _, f := range []struct {
		name string
		n    uint64
	}{
		{"streams torn", r.Counts.Chunks}, {"connections cut", r.Counts.Cuts}, {"half-open", r.Counts.HalfOpens},
		{"connections refused", r.Counts.Refused}, {"clock jumps", r.Counts.Jumps}, {"crashes", r.Counts.Crashes},
		{"failed commits", r.Counts.FailedCommits}, {"illegal packets", r.Stats.Illegal},
	} {
		if f.n > 0 {
			l.Faults[f.name] = f.n
		}
	}
	for _, c := range r.Counters {
		l.States[c.Name] = uint64(c.N)
	}
	if r.Err != nil {
		l.Error, l.Knobs = r.Err.Error(), r.Knobs.String()
	}
	return l
}

// write writes the line as JSON.
func (l *line) write(w io.Writer) error {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// totals is the sum of many lines.
type totals struct {
	runs, full               int // all; those that could reach every state
	steps, packets, messages uint64
	virtual                  float64
	faults, states           map[string]uint64
	violated                 []line // the first few
	violations               int

	elapsed time.Duration // 0: unknown
	cores   int
}

// toldViolations is how many violations are listed one by one.
const toldViolations = 10

func (t *totals) add(l line) {
	if t.faults == nil {
		t.faults, t.states = map[string]uint64{}, map[string]uint64{}
	}
	t.runs++
	if !l.Filtered {
		t.full++
	}
	t.steps += l.Steps
	t.packets += l.Packets
	t.messages += l.Messages
	t.virtual += l.Virtual
	for k, n := range l.Faults {
		t.faults[k] += n
	}
	for k, n := range l.States {
		t.states[k] += n
	}
	if l.Error != "" {
		if t.violations++; len(t.violated) < toldViolations {
			t.violated = append(t.violated, l)
		}
	}
}

// missing are the rare states that should have been reached and were not.
func (t *totals) missing() []string {
	if t.full < enough {
		return nil
	}
	return slices.DeleteFunc(sim.RareStates(), func(s string) bool { return t.states[s] > 0 })
}

func (t *totals) clean() bool { return t.violations == 0 && len(t.missing()) == 0 }

// String is the table.
func (t *totals) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, n uint64) { fmt.Fprintf(w, "%s\t%s\n", name, grouped(n)) }
	row("runs", uint64(t.runs))
	row("steps", t.steps)
	row("messages", t.messages)
	row("packets", t.packets)
	if t.elapsed > 0 {
		rate := float64(t.packets) / t.elapsed.Seconds()
		fmt.Fprintf(w, "packets/s\t%s on %d cores, %s on each\n", grouped(uint64(rate)), t.cores, grouped(uint64(rate/float64(t.cores))))
		fmt.Fprintf(w, "time\t%.1f s, %.1f days of virtual time\n", t.elapsed.Seconds(), t.virtual/86400)
	}
	w.Flush()
	fmt.Fprint(&b, "\nfaults\n")
	rows(&b, t.faults, nil)
	fmt.Fprint(&b, "\nrare states\n")
	rows(&b, t.states, t.missing())
	return b.String()
}

// rows lists counters by name, and those that are missing among them.
func rows(b io.Writer, counters map[string]uint64, missing []string) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, k := range slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(counters)), missing...))) {
		if slices.Contains(missing, k) {
			fmt.Fprintf(w, "  %s\tNEVER\n", k)
			continue
		}
		fmt.Fprintf(w, "  %s\t%s\n", k, grouped(counters[k]))
	}
	w.Flush()
}

// grouped is n in groups of three digits.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// verdict is the last word.
func (t *totals) verdict() string {
	if missing := t.missing(); t.violations == 0 && len(missing) > 0 {
		return fmt.Sprintf("FAILED: never reached: %s", strings.Join(missing, "; "))
	}
	if t.violations > 0 {
		return fmt.Sprintf("VIOLATED in %d of %d runs", t.violations, t.runs)
	}
	return "clean"
}

// addUp adds up the lines that -jsonl printed; other lines do not matter.
func addUp(r io.Reader, w io.Writer) (clean bool, err error) {
	var t totals
	seen := map[uint64]bool{}
	for in := bufio.NewReader(r); ; {
		b, err := in.ReadBytes('\n')
		var l line
		if bytes.HasPrefix(b, []byte("{")) && json.Unmarshal(b, &l) == nil && l.Hash != "" && !seen[l.Seed] {
			seen[l.Seed] = true
			t.add(l)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, err
		}
	}
	if t.runs == 0 {
		return false, errors.New("there is no line of a run in the input")
	}
	for _, l := range t.violated {
		fmt.Fprintf(w, "seed %d, step %d: %s\nknobs: %s\n", l.Seed, l.Steps, l.Error, l.Knobs)
	}
	fmt.Fprintf(w, "%v\n%s\n", &t, t.verdict())
	return t.clean(), nil
}
