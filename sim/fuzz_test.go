package sim

import "testing"

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
