package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttcore/sim"

	"github.com/google/go-cmp/cmp"
)

// exec runs the command.
func exec(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = command(args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		want string // on stderr
	}{
		{"-nonsense", "flag provided but not defined"},
		{"something", `unexpected argument "something"`},
		{"-version 2", "-version is not"},
		{"-clients 0", "-clients is not"},
		{"-steps 0", "-steps is less"},
		{"-runs 0", "-runs is less"},
		{"-runs -3", "-runs is less"},
		{"-time 0s", "-time is not"},
		{"-runs 5 -time 5s", "two ways"},
		{"-shard 1", "not i/n"},
		{"-shard 2/2", "not i/n"},
		{"-shard -1/2", "not i/n"},
		{"-shard 0/0", "not i/n"},
		{"-shard 1/2x", "not i/n"},
		{"-faults rain", `"rain" is none of`},
		{"-tape xyz", "invalid"},
		{"-tape 00 -seed 4", "a run by itself"},
		{"-tape 00 -shard 0/2", "a run by itself"},
		{"-trace", "want one run"},
		{"-svg x.svg -runs 3", "want one run"},
		{"-seed 4 -jsonl -trace", "no ladder"},
		{"-sum -runs 4", "no other flag"},
		{"-explore -seed 4", "its own flags only"},
		{"-explore -trace", "its own flags only"},
		{"-window 4", "want -explore"},
		{"-explore -to-broker 13", "not a list of 0, 1 and 2"},
		{"-explore -to-client 111111111", "more than 8 messages"},
		{"-explore -reconnects -1", "number of reconnects"},
		{"-explore -keepalive 65536", "out of range"},
		{"-explore -states -1", "-states is less"},
	} {
		t.Run(c.args, func(t *testing.T) {
			status, stdout, stderr := exec(t, "", strings.Fields(c.args)...)
			if status != statusUsage || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
		})
	}
	if status, _, stderr := exec(t, "", "-h"); status != statusClean || !strings.Contains(stderr, "-shard") {
		t.Errorf("-h: status %d, %q", status, stderr)
	}
}

func TestCampaign(t *testing.T) {
	status, stdout, _ := exec(t, "", "-runs", "30", "-steps", "400", "-seed", "7")
	if status != statusClean {
		t.Errorf("status %d", status)
	}
	if !strings.HasPrefix(stdout, "seeds from 7 on -clients 4 -steps 400, share 0/1") || !strings.HasSuffix(stdout, "\nclean\n") {
		t.Error(stdout)
	}
	for _, want := range []string{"runs       30\n", "packets/s", "connections cut", "session present"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

// TestCampaignEnds: with -time it does so on time.
func TestCampaignEnds(t *testing.T) {
	began := time.Now()
	if status, stdout, _ := exec(t, "", "-time", "200ms", "-steps", "200"); status != statusClean || !strings.Contains(stdout, "clean") {
		t.Errorf("status %d: %s", status, stdout)
	}
	if d := time.Since(began); d < 200*time.Millisecond || d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestShards: the shares of a campaign are the campaign, and the sum of their
// lines is the sum of its.
func TestShards(t *testing.T) {
	args := []string{"-runs", "20", "-seed", "3", "-steps", "300", "-jsonl"}
	status, whole, stderr := exec(t, "", args...)
	if status != statusClean || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	lines := strings.SplitAfter(whole, "\n")
	lines = lines[:len(lines)-1]
	if len(lines) != 20 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, text := range lines {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil || l.Seed != 3+uint64(i) || l.Packets == 0 || l.Error != "" {
			t.Fatalf("line %d: %v: %s", i, err, text)
		}
	}
	var parts []string
	for i := range 3 {
		_, part, _ := exec(t, "", append(args, "-shard", fmt.Sprintf("%d/3", i))...)
		parts = append(parts, strings.SplitAfter(part, "\n")...)
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	slices.Sort(parts)
	want := slices.Sorted(slices.Values(lines))
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Error(diff)
	}

	status, sum, _ := exec(t, "something else\n"+strings.Join(parts, "")+"{}\n"+whole, "-sum")
	if status != statusClean || !strings.HasPrefix(sum, "runs      20\n") || !strings.HasSuffix(sum, "clean\n") {
		t.Errorf("status %d: %s", status, sum)
	}
	if status, _, stderr = exec(t, "nothing\n", "-sum"); status != statusViolation || stderr == "" {
		t.Errorf("a sum of nothing: status %d", status)
	}
}

// TestSumViolated: violations and missing states come through -sum.
func TestSumViolated(t *testing.T) {
	var good, bad bytes.Buffer
	all := map[string]uint64{}
	for _, s := range sim.RareStates() {
		all[s] = 1
	}
	for seed := range uint64(enough) {
		l := line{Seed: seed, Hash: "0", States: all}
		_ = l.write(&good)
		l.States = map[string]uint64{"session present": 1}
		_ = l.write(&bad)
	}
	if status, out, _ := exec(t, good.String(), "-sum"); status != statusClean {
		t.Error(out)
	}
	if status, out, _ := exec(t, bad.String(), "-sum"); status != statusViolation || !strings.Contains(out, "never reached: ") ||
		!strings.Contains(out, "NEVER") || strings.Contains(out, "session present  NEVER") {
		t.Error(out)
	}
	one := line{Seed: 99999, Hash: "0", Steps: 12, Error: "c0: it broke", Knobs: "{}"}
	_ = one.write(&good)
	if status, out, _ := exec(t, good.String(), "-sum"); status != statusViolation ||
		!strings.HasPrefix(out, "seed 99999, step 12: c0: it broke\nknobs: {}\n") || !strings.Contains(out, "VIOLATED in 1 of 5001 runs") {
		t.Error(out)
	}
}

func TestSingle(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "x.svg")
	args := []string{"-seed", "5", "-steps", "300", "-version", "4", "-faults", "cut,crash"}
	status, plain, _ := exec(t, "", args...)
	if status != statusClean || !strings.HasPrefix(plain, "seed 5 -clients 4 -steps 300 -version 4 -faults cut,crash\nknobs: {Steps:300") {
		t.Errorf("status %d: %s", status, plain)
	}
	if strings.Contains(plain, "streams torn") {
		t.Error("a fault that was left out")
	}
	status, traced, _ := exec(t, "", append(args, "-trace", "-svg", svg, "-client", "c0")...)
	if status != statusClean || !strings.Contains(traced, "─ CONNECT c0") || !strings.Contains(traced, "broker") {
		t.Errorf("status %d: %s", status, traced)
	}
	if b, err := os.ReadFile(svg); err != nil || !bytes.HasPrefix(b, []byte("<svg")) || !bytes.Contains(b, []byte("CONNECT c0")) {
		t.Errorf("%v: %.100s", err, b)
	}
	hash := func(s string) string { _, h, _ := strings.Cut(s, "\nhash "); return h }
	if hash(plain) == "" || hash(plain) != hash(traced) {
		t.Errorf("hashes %q, %q", hash(plain), hash(traced))
	}

	// The tape of the run is the run.
	var s settings
	s.Limits = sim.Limits{Clients: 4, Steps: 300, Version: 4}
	if err := s.faults.set("cut,crash"); err != nil {
		t.Fatal(err)
	}
	tape := s.find(5).tape
	args = append(args[2:], "-tape", hex.EncodeToString(tape))
	if status, out, _ := exec(t, "", args...); status != statusClean || hash(out) != hash(plain) {
		t.Errorf("status %d: %s", status, out)
	}
}

// TestFaults: each fault has a name, and without it, it does not happen.
func TestFaults(t *testing.T) {
	var none, all settings
	if err := none.faults.set("none"); err != nil {
		t.Fatal(err)
	}
	none.Limits = sim.Limits{Clients: 5, Steps: 1}
	all.Limits = none.Limits
	for seed := range uint64(50) {
		k := none.draw(sim.Seed(seed))
		for _, c := range k.Clients {
			if l := c.Load; l.Crash+l.CrashAt+l.FailCommit+l.Lose+l.Disconnect != 0 {
				t.Errorf("seed %d: %+v", seed, l)
			}
		}
		want := sim.Faults{JumpBy: k.Faults.JumpBy}
		if b := k.Broker; k.Faults != want || b.Restart+b.Amnesia+b.Forget+b.Illegal != 0 || b.Shrink {
			t.Errorf("seed %d: %v", seed, k)
		}
		each := all.draw(sim.Seed(seed))
		for _, f := range faultNames {
			f.off(&each)
		}
		if diff := cmp.Diff(k, each); diff != "" {
			t.Error(diff)
		}
	}
}

// TestViolation: what is told of a run in which something goes wrong. Since
// nothing does, the error is made.
func TestViolation(t *testing.T) {
	s := settings{Limits: sim.Limits{Clients: 3, Steps: 300}}
	v := s.find(9)
	if v.report.Err != nil {
		t.Fatal(v.report.Err)
	}
	v.report.Err = &sim.Contradiction{Client: "c0", Text: "it broke"}
	var out bytes.Buffer
	if err := v.print(&out, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nVIOLATION: c0: it broke\nseed 9 -clients 3 -steps 300, step ", "\nknobs: {Steps:300", "  c0  ", "earlier entries", "\nviolated\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	v.small = &violation{settings: &s, name: "seed 9", report: sim.Report{Err: v.report.Err, Step: 4}, tape: []byte{1, 2, 3}}
	out.Reset()
	if err := v.print(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"smaller: c0: it broke\ntape of 3 bytes", "\nmqttsim -clients 3 -steps 300 -tape 010203\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestKind(t *testing.T) {
	a, b := errors.New("c1: message 12 has two fates"), errors.New("c0: message 7 has two fates")
	if kind(a) != kind(b) || kind(a) == kind(errors.New("c0: message 7 has no fate")) || kind(nil) == kind(a) {
		t.Errorf("%q, %q", kind(a), kind(b))
	}
}

// TestRunPanics: a run that panics is a violation, and does not end the
// campaign without a word.
func TestRunPanics(t *testing.T) {
	r := run(nil, sim.Knobs{Steps: 1}, func(*sim.World) { panic("oh") })
	var p *panicked
	if !errors.As(r.Err, &p) || r.Err.Error() != "panic: oh" || len(p.stack) == 0 {
		t.Errorf("got %v", r.Err)
	}
}
