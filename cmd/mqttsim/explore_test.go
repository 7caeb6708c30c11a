package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttcore"
	"mqttcore/sim"
)

func TestExplore(t *testing.T) {
	status, stdout, _ := exec(t, "", "-explore", "-to-broker", "2", "-to-client", "", "-reconnects", "1", "-keepalive", "0")
	lines := strings.Split(stdout, "\n")
	if status != statusClean || len(lines) != 7 || lines[5] != "clean" {
		t.Fatalf("status %d\n%s", status, stdout)
	}
	if !strings.HasPrefix(lines[0], "messages to the broker at QoS 2, to the client at QoS -; 1 reconnects, keep alive 0 s") {
		t.Error(lines[0])
	}
	for i, v := range []string{"version", "3.1", "3.1.1", "5.0"} {
		if f := strings.Fields(lines[1+i]); f[0] != v || i > 0 && (f[1] == "0" || f[2] == "0" || f[3] == "0" || f[4] == "0" || f[7] == "0") {
			t.Error(lines[1+i])
		}
	}
}

func TestExploreGivesUp(t *testing.T) {
	status, stdout, _ := exec(t, "", "-explore", "-version", "5", "-states", "100")
	if status != statusViolation || !strings.Contains(stdout, "not complete: ") || strings.Contains(stdout, "clean") {
		t.Errorf("status %d\n%s", status, stdout)
	}
}

// TestCounterexample: actions and ladder are shown, and drawn into a file.
func TestCounterexample(t *testing.T) {
	o := &options{svg: filepath.Join(t.TempDir(), "it.svg")}
	var out strings.Builder
	err := o.counterexample(sim.Scope{Version: mqttcore.V5, ToBroker: []mqttcore.QoS{2}, Reconnects: 2}, sim.Exploration{
		Err: errors.New("what is wrong"),
		Trace: []sim.Action{{Kind: sim.ActConnect}, {Kind: sim.ActToBroker}, {Kind: sim.ActToClient}, {Kind: sim.ActPublish},
			{Kind: sim.ActToBroker}, {Kind: sim.ActToClient, Crash: 2}, {Kind: sim.ActConnect}, {Kind: sim.ActClientTick}},
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"\nVIOLATION: what is wrong\nversion 5.0, after 8 actions\n\n  1. the client connects\n  2. a packet reaches the broker\n",
		"  6. a packet reaches the client, crash between committing and writing\n",
		"CONNECT c keepalive=0", "CONNACK Success", "publishes message 0 at QoS 2", "PUBLISH up q2 id=1", "PUBREC id=1",
		"crash between committing and writing", "closed: connect timeout", "what is wrong", "\nviolated\n",
	} {
		at := strings.Index(text, want) // in this order
		if at < 0 {
			t.Fatalf("no %q, or not there:\n%s", want, out.String())
		}
		text = text[at+len(want):]
	}
	if svg, err := os.ReadFile(o.svg); err != nil || !strings.Contains(string(svg), "PUBREC") {
		t.Error(err)
	}
}
