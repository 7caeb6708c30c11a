package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"mqttcore"
	"mqttcore/examples/internal/testbroker"
)

// TestMain lets the test binary be the program itself, so that a test can kill
// it.
func TestMain(m *testing.M) {
	if os.Getenv("DURABLE_CHILD") != "" {
		main()
	}
	os.Exit(m.Run())
}

// places are those where -exit-at can end the program.
var places = []string{"read", "acted", "torn", "committed", "half written", "written", "compacted", "renamed"}

// trial is one courier with its broker, that is killed again and again.
type trial struct {
	t      *testing.T
	rnd    *rand.Rand
	broker *testbroker.Server
	args   []string
	file   string
	qos    mqttcore.QoS
	sent   int // messages that it is asked to publish
	fed    int // messages that were sent to it
	killed int
	exited map[string]int // by place
}

func newTrial(t *testing.T, v, qos int, order string) *trial {
	x := &trial{
		t: t, rnd: rand.New(rand.NewPCG(uint64(v), uint64(qos))), broker: new(testbroker.Server),
		file: filepath.Join(t.TempDir(), "courier"), qos: mqttcore.QoS(qos), exited: map[string]int{},
	}
	x.args = []string{"-broker", x.broker.Start(t), "-file", x.file, "-v", strconv.Itoa(v), "-qos", strconv.Itoa(qos),
		"-order", order, "-compact", "500"}
	return x
}

// start begins a run of the program.
func (x *trial) start(more ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(os.Args[0], append(x.args, more...)...)
	cmd.Env = append(os.Environ(), "DURABLE_CHILD=1", "GOCOVERDIR="+x.t.TempDir())
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	return cmd, &said
}

// finish lets the program run until everything has arrived.
func (x *trial) finish() {
	x.t.Helper()
	cmd, said := x.start("-send", strconv.Itoa(x.sent), "-receive", strconv.Itoa(x.fed))
	alarm := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer alarm.Stop()
	if err := cmd.Wait(); err != nil {
		x.t.Fatalf("%v: %s", err, said)
	}
}

// feed sends messages to the courier.
func (x *trial) feed(n int) {
	for range n {
		x.fed++
		x.broker.Send(mqttcore.Publish{Topic: []byte("courier/in"), Payload: strconv.AppendInt(nil, int64(x.fed), 10), QoS: x.qos})
	}
}

// kill lets the program run and ends it, at a place of its own or by SIGKILL.
func (x *trial) kill(place string) {
	x.sent += 3
	x.feed(2)
	var more []string
	if place != "" {
		n := 1
		if place != "compacted" && place != "renamed" {
			n += x.rnd.IntN(6)
		}
		more = []string{"-exit-at", fmt.Sprintf("%s:%d", place, n)}
	}
	cmd, said := x.start(append(more, "-send", strconv.Itoa(x.sent), "-receive", "-1")...)
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	wait := time.Duration(x.rnd.IntN(40)) * time.Millisecond
	if place != "" {
		wait = 2 * time.Second // it will end by itself
	}
	alarm := time.AfterFunc(wait, func() { cmd.Process.Kill() })
	defer alarm.Stop()
	var err error
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-time.After(8 * time.Millisecond):
			x.feed(1)
		}
	}
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		x.t.Fatalf("not killed: %v: %s", err, said)
	case exit.ExitCode() == exitStatus:
		x.exited[place]++
	case exit.ExitCode() == -1:
		x.killed++
	default:
		x.t.Fatalf("%v: %s", err, said)
	}
}

// check looks whether everything arrived, and how often.
func (x *trial) check(repeats bool) {
	x.t.Helper()
	o := &options{broker: "", file: x.file, id: "courier", version: 5, order: x.args[9], at: func(string) {}}
	k, err := o.open()
	if err != nil {
		x.t.Fatal(err)
	}
	if n := k.client.Session().Len(); n > 0 {
		x.t.Errorf("%d messages are left in the session", n)
	}
	out, in := map[string]int{}, map[string]int{}
	for _, m := range x.broker.Received() {
		out[string(m.Payload)]++
	}
	for _, text := range k.ledger.received {
		in[text]++
	}
	again := 0
	for _, way := range []struct {
		name string
		n    int
		got  map[string]int
		most int
	}{
		{"published", x.sent, out, 1},
		{"received", x.fed, in, 1},
	} {
		if len(way.got) > way.n {
			x.t.Errorf("%s: %d messages of %d", way.name, len(way.got), way.n)
		}
		for i := 1; i <= way.n; i++ {
			n := way.got[strconv.Itoa(i)]
			if n == 0 || n > 1 && x.qos == mqttcore.QoS2 && !(repeats && way.name == "received") {
				x.t.Errorf("%s: message %d %d times", way.name, i, n)
			}
			again += max(0, n-1)
		}
	}
	for i := 1; i <= x.sent; i++ {
		fates := k.ledger.settled[i]
		if n := len(fates); n == 0 || fates[0] != "published" || n > 1 && !repeats {
			x.t.Errorf("message %d has the fates %q", i, fates)
		}
		again += max(0, len(fates)-1)
	}
	x.t.Logf("%d published, %d received, %d events or messages repeated; %d killed, exits %v", x.sent, x.fed, again, x.killed, x.exited)
}

// TestKilled kills the program at every place and at random moments: at QoS 1
// nothing is lost, at QoS 2 nothing is lost or doubled, in both directions.
func TestKilled(t *testing.T) {
	for _, row := range []struct {
		v, qos int
		order  string
	}{
		{3, 2, "together"}, {4, 1, "together"}, {4, 2, "together"}, {5, 1, "together"}, {5, 2, "together"},
		{5, 1, "apart"}, {4, 2, "apart"}, {5, 2, "apart"},
	} {
		t.Run(fmt.Sprintf("version %d QoS %d %s", row.v, row.qos, row.order), func(t *testing.T) {
			t.Parallel()
			x := newTrial(t, row.v, row.qos, row.order)
			x.sent = 1
			x.finish() // which subscribes
			all := places
			if row.order == "apart" {
				all = append([]string{"between"}, places...)
			}
			rounds := 3
			if testing.Short() {
				rounds = 1
			}
			for range rounds {
				for _, place := range all {
					x.kill(place)
					x.kill("")
				}
			}
			x.finish()
			x.check(row.order == "apart")
			for _, place := range all {
				if x.exited[place] == 0 && rounds > 1 {
					t.Errorf("never ended at %q", place)
				}
			}
		})
	}
}
