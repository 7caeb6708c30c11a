// This file measures how much a client holds when it is full, and compares it
// with the table in docs/memory.md, from which it takes the numbers.

package mqttcore

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// memoryRow is a way to fill a client: fill returns how many things of the
// table's row there are, and the bytes of their contents. With drop, only what
// that lets go counts.
type memoryRow struct {
	name string // first column of the table
	cfg  Config
	ack  *ConnAck
	fill func(t *testing.T, c *Client, buf []byte) (n, contents int)
	drop func(c *Client)
}

// quiet receives a packet of the server's and takes the events.
func quiet(t *testing.T, c *Client, buf []byte, in []byte) {
	t.Helper()
	_, n, err := c.Receive(buf, scriptStart, in)
	if err != nil || n != len(in) || c.State() != StateConnected {
		t.Fatal(n, err, c.State())
	}
	takeEvents(c)
}

func takeEvents(c *Client) {
	var ev Event
	for c.Next(&ev) {
	}
}

// publishMany gives a client messages of 100 bytes until it takes no more, or
// there are most, and tells how many it took.
func publishMany(t *testing.T, c *Client, buf []byte, q QoS, most int, refused error) int {
	p := message(strings.Repeat("t", 20), strings.Repeat("x", 80), q, 0)
	for n := range most {
		if _, err := c.Publish(buf, scriptStart, p, 1); err != nil {
			if !errors.Is(err, refused) {
				t.Fatal(n, err)
			}
			return n
		}
	}
	return most
}

// served appends a packet of the server's to a buffer that is used again.
func served(p Packet) []byte { return mustAppend(p, Dialect{Version: V5, From: FromServer}) }

var memoryRows = []memoryRow{
	{"queued message", Config{MaxQueued: 30_000, MaxQueuedBytes: 1 << 30}, nil,
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			n := publishMany(t, c, buf, QoS2, 1<<20, ErrQueueFull)
			return n, 100 * n
		}, nil},
	{"message under way", Config{MaxInflight: 65_535, MaxQueued: -1}, &ConnAck{},
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			n := publishMany(t, c, buf, QoS1, 1<<20, ErrQueueFull)
			return n, 100 * n
		}, nil},
	{"fate not taken", Config{MaxInflight: 65_535}, &ConnAck{},
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			n := publishMany(t, c, buf, QoS1, 60_000, nil)
			large := message("t", strings.Repeat("x", 2*keepBuf), QoS1, 0) // whose contents go with the session
			for range 1000 {
				if _, err := c.Publish(buf, scriptStart, large, 1); err != nil {
					t.Fatal(err)
				}
			}
			c.Lost(scriptStart, nil)
			return n + 1000, 100 * n
		}, nil},
	{"op not taken", Config{Journal: true, MaxQueued: 1 << 20, MaxQueuedBytes: 1 << 30}, nil,
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			publishMany(t, c, buf, QoS1, 1<<20, ErrPending)
			return c.s.untaken(), 0
		}, func(c *Client) { c.s.j.ops = fifo[uint64]{} }},
	{"received QoS 2 message", Config{}, &ConnAck{},
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			in := served(message("t", "", QoS2, 1))
			for id := 1; id <= maxID; id++ {
				in[5], in[6] = byte(id>>8), byte(id)
				quiet(t, c, buf, in)
				c.conn.unacked = 0 // on one connection the receive maximum leaves room for one less
			}
			return maxID, 0
		}, nil},
	{"message that waits for Ack", Config{ManualAck: true}, &ConnAck{},
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			in := served(message("t", "", QoS2, 1))
			for id := 1; id < maxID; id++ {
				in[5], in[6] = byte(id>>8), byte(id)
				quiet(t, c, buf, in)
			}
			return maxID - 1, 0
		}, nil},
	{"progress step not taken", Config{Progress: true, ManualAck: true, Props: propsOf(ReceiveMaximum(20_000))}, &ConnAck{},
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			in := served(message("t", "", QoS1, 1))
			var first AckToken
			for range 20_000 {
				if _, _, err := c.Receive(buf, scriptStart, in); err != nil {
					t.Fatal(err)
				}
				var ev Event
				for c.Next(&ev) {
					if first == 0 {
						first = ev.Token
					}
				}
			}
			for at := range c.s.inbox.slab {
				if r := &c.s.inbox.slab[at]; r.token != 0 && r.token != first {
					if _, err := c.Ack(buf, scriptStart, r.token, 0, Properties{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := c.Ack(buf, scriptStart, first, 0, Properties{}); err != nil { // all go out at once
				t.Fatal(err)
			}
			return c.progress.untold(), 0
		}, func(c *Client) { c.progress.steps = fifo[step]{} }},
	{"live subscription", Config{}, &ConnAck{},
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			const n = 20_000
			for i := range n {
				var s Subscribe
				if err := s.Subscriptions.Add(Subscription{Filter: fmt.Appendf(nil, "%032d", i)}); err != nil {
					t.Fatal(err)
				}
				out, err := c.Subscribe(buf, scriptStart, &s, 1)
				if err != nil {
					t.Fatal(err)
				}
				quiet(t, c, buf, served(&SubAck{ID: uint16(out[2])<<8 | uint16(out[3]), Codes: []byte{0}}))
			}
			return n, 32 * n
		}, nil},
	{"inbound topic alias", Config{Props: propsOf(TopicAliasMaximum(65_535))}, &ConnAck{},
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			for a := 1; a <= maxID; a++ {
				quiet(t, c, buf, served(message(fmt.Sprintf("%032d", a), "", QoS0, 0, TopicAlias(uint16(a)))))
			}
			return maxID, 32 * maxID
		}, nil},
	{"outbound topic alias, automatic", Config{TopicAliases: 65_535}, aliasing(65_535),
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			for a := range 2 * maxID {
				if _, err := c.Publish(buf, scriptStart, message(fmt.Sprintf("%032d", a), "", QoS0, 0), 0); err != nil {
					t.Fatal(err)
				}
			}
			return maxID, 32 * maxID
		}, nil},
	{"outbound topic alias, the caller's", Config{}, aliasing(65_535),
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			for a := 1; a <= maxID; a++ {
				if _, err := c.Publish(buf, scriptStart, message(fmt.Sprintf("%032d", a), "", QoS0, 0, TopicAlias(uint16(a))), 0); err != nil {
					t.Fatal(err)
				}
			}
			return maxID, 32 * maxID
		}, nil},
	{"record kept for the next message", Config{MaxQueued: 2000, MaxQueuedBytes: 1 << 30}, nil,
		func(t *testing.T, c *Client, buf []byte) (int, int) {
			const n = 2000
			for i := range n { // of twice the size that is kept, and of that size
				p := message("t", strings.Repeat("x", keepBuf*(2-i%2)-8), QoS1, 0, MessageExpiry(1))
				if _, err := c.Publish(buf, scriptStart, p, 1); err != nil {
					t.Fatal(err)
				}
			}
			c.Tick(buf, scriptStart.Add(time.Minute))
			takeEvents(c)
			if c.s.Len() != 0 {
				t.Fatal("not expired")
			}
			return n, keepBuf * n / 2
		}, nil},
}

// TestMemory fills a client in each way to its bound. What it takes is at most
// what docs/memory.md says, and not much less.
func TestMemory(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the sizes are those of 64 bits")
	}
	doc, err := os.ReadFile("docs/memory.md")
	if err != nil {
		t.Fatal(err)
	}
	each := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \| ([0-9]+)`).FindAllStringSubmatch(string(doc), -1) {
		each[m[1]], _ = strconv.Atoi(m[2])
	}
	buf := make([]byte, 0, 1<<20)
	for _, row := range memoryRows {
		t.Run(row.name, func(t *testing.T) {
			want := each[row.name]
			if want == 0 {
				t.Fatal("docs/memory.md has no such row")
			}
			delete(each, row.name)
			before := heap()
			cfg := row.cfg
			cfg.ClientID = []byte("me")
			c, err := NewClient(cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			if row.ack != nil {
				if _, err := c.Connect(buf, scriptStart); err != nil {
					t.Fatal(err)
				}
				quiet(t, c, buf, served(row.ack))
			}
			n, contents := row.fill(t, c, buf)
			got := int(heap()-before) - contents
			if row.drop != nil {
				with := heap()
				row.drop(c)
				got = int(with - heap())
			}
			runtime.KeepAlive(c)
			if got > n*want || got < n*want/3 {
				t.Errorf("%d take %d bytes beside their contents: %.1f each, documented %d", n, got, float64(got)/float64(n), want)
			}
		})
	}
	for name := range each {
		t.Errorf("docs/memory.md: nothing measures %q", name)
	}
}
