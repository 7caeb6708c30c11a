// This file holds FuzzSim, and what keeps its seeds good: they are found again
// with go test ./sim -run FuzzSeeds -update.

package sim

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "find the seeds of FuzzSim anew, and write them")

// fuzzLimits are those of the runs that FuzzSim makes of its tapes: small, so
// that what it finds is.
var fuzzLimits = Limits{Clients: 3, Steps: 300}

// FuzzSim makes a run of a tape: knobs, faults, and what the applications do.
// Its seeds in testdata are tapes of runs that reach rare states.
func FuzzSim(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, tape []byte) {
		src := Tape(tape)
		k := Draw(src, fuzzLimits)
		if r := Run(src, k, nil); r.Err != nil {
			t.Errorf("step %d: %v\n%v", r.Step, r.Err, k)
		}
	})
}

// seedFiles matches the seeds; what the fuzzer finds has other names.
const seedFiles = "testdata/fuzz/FuzzSim/seed-*"

// seedHead is what stands before the tape in a seed, in the fuzzer's format.
const seedHead = "go test fuzz v1\n[]byte("

// TestFuzzSeeds: together the seeds of FuzzSim reach every rare state. What a tape
// means changes with whatever draws from it; when they no longer do, -update
// looks for others.
func TestFuzzSeeds(t *testing.T) {
	if *update {
		writeSeeds(t)
	}
	files, err := filepath.Glob(seedFiles)
	if err != nil || len(files) == 0 {
		t.Fatal("no seeds", err)
	}
	missing := map[string]bool{}
	for _, s := range RareStates() {
		missing[s] = true
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text, ok := strings.CutPrefix(string(b), seedHead)
		tape, err := strconv.Unquote(strings.TrimSuffix(text, ")\n"))
		if !ok || err != nil {
			t.Fatalf("%s is no seed: %v", name, err)
		}
		for s := range statesOf(t, name, Tape([]byte(tape))) {
			delete(missing, s)
		}
	}
	for _, s := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("no seed reaches %q: run go test ./sim -run FuzzSeeds -update", s)
	}
}

// statesOf are the states that a run reaches.
func statesOf(t *testing.T, name string, src Source) map[string]bool {
	t.Helper()
	r := Run(src, Draw(src, fuzzLimits), nil)
	if r.Err != nil {
		t.Errorf("%s: %v", name, r.Err)
	}
	states := map[string]bool{}
	for _, c := range r.Counters {
		states[c.Name] = true
	}
	return states
}

// searchSeeds is among how many runs the seeds are looked for.
const searchSeeds = 5000

// writeSeeds finds few runs that together reach every rare state, and writes their
// tapes in the place of the seeds that there are.
func writeSeeds(t *testing.T) {
	type found struct {
		seed   uint64
		tape   []byte
		states map[string]bool
	}
	var kept []found
	reached := map[string]int{} // by how many of those kept
	rare := RareStates()
	for seed := uint64(1); seed <= searchSeeds; seed++ {
		rec := &Recorder{Source: Seed(seed)}
		f := found{seed: seed, states: statesOf(t, fmt.Sprintf("seed %d", seed), rec)}
		f.tape = rec.Taken
		if slices.ContainsFunc(rare, func(s string) bool { return f.states[s] && reached[s] == 0 }) {
			kept = append(kept, f)
			for s := range f.states {
				reached[s]++
			}
		}
	}
	// Those are left out whose states others reach, the first ones first: they were
	// kept for what is common.
	kept = slices.DeleteFunc(kept, func(f found) bool {
		if slices.ContainsFunc(rare, func(s string) bool { return f.states[s] && reached[s] == 1 }) {
			return false
		}
		for s := range f.states {
			reached[s]--
		}
		return true
	})
	old, err := filepath.Glob(seedFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range kept {
		name := strings.Replace(seedFiles, "*", strconv.FormatUint(f.seed, 10), 1)
		text := seedHead + strconv.Quote(string(f.tape)) + ")\n"
		if err := os.WriteFile(filepath.FromSlash(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d seeds", len(kept))
}
