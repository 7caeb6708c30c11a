// The test of examples/durable against real brokers: the program is killed
// again and again, and everything must have arrived in the end.

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mqttcore"
	"mqttcore/interop/brokers"
)

// places are those where the program can be told to exit: before, between and
// after act, commit and write.
var places = []string{"read", "acted", "torn", "committed", "half written", "written", "compacted", "renamed"}

// durable is one run of the test: the program, and a peer that takes what it
// publishes and sends what it receives.
type durable struct {
	t      *testing.T
	host   host
	rnd    *rand.Rand
	peer   *peer
	qos    mqttcore.QoS
	args   []string
	id     string
	sent   int            // messages that the program is asked to publish
	fed    int            // messages that were sent to it
	got    map[string]int // copies that the peer has, by payload
	killed int
	exited int
}

func TestDurable(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "durable")
	if out, err := exec.Command("go", "build", "-o", bin, "mqttcore/examples/durable").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, row := range []struct {
		broker string
		v      mqttcore.Version
		qos    mqttcore.QoS
		order  string
	}{
		{mosquitto, v31, mqttcore.QoS2, "together"},
		{mosquitto, v311, mqttcore.QoS1, "together"},
		{mosquitto, v311, mqttcore.QoS2, "together"},
		{mosquitto, v5, mqttcore.QoS1, "together"},
		{mosquitto, v5, mqttcore.QoS2, "together"},
		{mosquitto, v5, mqttcore.QoS2, "apart"},
		// Not mochi: it loses a message whose PUBACK or PUBREC cannot be written,
		// which happens when the program is killed.
		{model, v31, mqttcore.QoS1, "together"},
		{model, v311, mqttcore.QoS2, "together"},
		{model, v5, mqttcore.QoS2, "together"},
		{model, v5, mqttcore.QoS1, "apart"},
	} {
		t.Run(fmt.Sprintf("%s %s QoS %d %s", row.broker, versionName(row.v), row.qos, row.order), func(t *testing.T) {
			t.Parallel()
			eachBroker(t, brokers.Options{}, func(t *testing.T, h host) {
				newDurable(t, h.unwritten(), bin, row.v, row.qos, row.order).run(row.order == "apart")
			}, row.broker)
		})
	}
}

func newDurable(t *testing.T, h host, bin string, v mqttcore.Version, q mqttcore.QoS, order string) *durable {
	d := &durable{
		t: t, host: h, rnd: rand.New(rand.NewPCG(*seedFlag, uint64(v)<<8|uint64(q))), peer: newPeer(t, h, lasting(t, v)),
		qos: q, id: string(newID()), got: map[string]int{},
	}
	d.args = []string{bin, "-broker", h.Addr, "-file", filepath.Join(t.TempDir(), "courier"), "-id", d.id,
		"-v", strconv.Itoa(int(v)), "-qos", strconv.Itoa(int(q)), "-order", order, "-compact", "500"}
	d.peer.connect()
	d.peer.subscribe(d.id+"/out", q)
	return d
}

// program runs the program until it ends, and meanwhile feeds it if asked to.
// After so long it is killed.
func (d *durable) program(limit time.Duration, feed bool, more ...string) error {
	d.t.Helper()
	cmd := exec.Command(d.args[0], append(d.args[1:], more...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	alarm := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer alarm.Stop()
	for {
		d.take(8 * time.Millisecond)
		select {
		case err := <-ended:
			if said.Len() > 0 {
				d.t.Errorf("%v: %s", err, &said)
			}
			return err
		default:
		}
		if feed && d.peer.c.Session().Len() < 10 {
			d.feed()
		}
	}
}

func (d *durable) feed() {
	d.fed++
	m := message(d.id+"/in", d.qos, strconv.Itoa(d.fed))
	d.peer.send(m)
}

// take lets the peer work for a while.
func (d *durable) take(long time.Duration) {
	d.peer.run(long)
	for _, ev := range d.peer.events {
		switch ev.Kind {
		case mqttcore.EventMessage:
			d.got[string(ev.Message.Payload)]++
		case mqttcore.EventDropped, mqttcore.EventClosed:
			d.t.Fatal(ev.String())
		}
	}
	d.peer.events = d.peer.events[:0]
}

// kill lets the program run and ends it, at a place of its own or by SIGKILL.
func (d *durable) kill(place string) {
	d.sent += 3
	d.feed()
	more := []string{"-send", strconv.Itoa(d.sent), "-receive", "-1"}
	limit := time.Duration(d.rnd.IntN(40)) * time.Millisecond
	if place != "" {
		n := 1
		if place != "compacted" && place != "renamed" {
			n += d.rnd.IntN(6)
		}
		more = append(more, "-exit-at", fmt.Sprintf("%s:%d", place, n))
		limit = 2 * time.Second
	}
	err := d.program(limit, true, more...)
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		d.t.Fatalf("not killed: %v", err)
	case exit.ExitCode() == 7:
		d.exited++
	default:
		d.killed++
	}
}

// run is the whole test. With repeats an event may come again after a crash.
func (d *durable) run(repeats bool) {
	finish := func() {
		if err := d.program(limit, false, "-send", strconv.Itoa(d.sent), "-receive", strconv.Itoa(d.fed)); err != nil {
			d.t.Fatal(err)
		}
	}
	d.sent = 1
	finish() // which subscribes
	all := places
	if repeats {
		all = append([]string{"between"}, places...)
	}
	for range 4 {
		for _, place := range all {
			d.kill(place)
			d.kill("")
		}
	}
	d.peer.settle()
	finish()
	for end := time.Now().Add(limit); len(d.got) < d.sent && time.Now().Before(end); {
		d.take(10 * time.Millisecond)
	}
	d.take(50 * time.Millisecond)

	ledger, err := exec.Command(d.args[0], append(d.args[1:], "-list")...).Output()
	if err != nil {
		d.t.Fatal(err)
	}
	in, fates := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(ledger)) {
		words := strings.Fields(line)
		switch words[0] {
		case "received":
			in[strings.Trim(words[1], `"`)]++
		case "settled":
			fates[words[1]]++
			if !slices.Equal(words[2:], []string{"published"}) {
				d.t.Error(line)
			}
		}
	}
	resends := 0 // how often something may come again
	if d.qos == mqttcore.QoS1 {
		resends = math.MaxInt
	}
	crashes := 0
	if repeats {
		crashes = math.MaxInt
	}
	again := d.count("published", d.sent, d.got, resends)
	again += d.count("received", d.fed, in, max(resends, crashes, publishedAgain(d.host, d.id)))
	again += d.count("settled", d.sent, fates, crashes)
	d.t.Logf("%d published, %d received, %d messages or events repeated; %d killed, %d exits", d.sent, d.fed, again, d.killed, d.exited)
	if d.exited < len(all) {
		d.t.Error("too few exits")
	}
}

// publishedAgain counts the QoS 2 messages that mosquitto sent to a client again
// after their PUBREL (against MQTT-4.3.3-6). It does so when a connection ends
// while it sends PUBRELs again, and a client that has had the PUBREL can only
// take the message for a new one.
func publishedAgain(h host, client string) (n int) {
	if h.kind != mosquitto {
		return 0
	}
	line := regexp.MustCompile(`(Sending PUBREL|Sending PUBLISH|Received PUBCOMP) (?:to|from) ` +
		regexp.QuoteMeta(client) + ` \((?:Mid: |m|d[01], q2, r0, m)(\d+)`)
	released := map[string]bool{} // by packet identifier
	for _, m := range line.FindAllStringSubmatch(h.Log(), -1) {
		if m[1] == "Sending PUBLISH" && released[m[2]] {
			n++
		}
		released[m[2]] = m[1] == "Sending PUBREL"
	}
	return n
}

// count checks that 1 to n are there, each once but for so many repeats.
func (d *durable) count(name string, n int, got map[string]int, most int) (again int) {
	if len(got) > n {
		d.t.Errorf("%s: %d messages of %d", name, len(got), n)
	}
	for i := 1; i <= n; i++ {
		k := got[strconv.Itoa(i)]
		if k == 0 || again+k-1 > most {
			d.t.Errorf("%s: message %d %d times", name, i, k)
		}
		again += max(0, k-1)
	}
	return again
}
