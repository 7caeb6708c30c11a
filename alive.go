// This file holds what a client does because time passes: keep alive, the
// answer that does not come, and the one deadline over all of it.

package mqttcore

import "time"

// never is a time that does not come.
const never = 1<<63 - 1

// after is the time d after t, d not below 0: never, where that is too far.
func after(t int64, d time.Duration) int64 {
	if int64(d) > never-t {
		return never
	}
	return t + int64(d)
}

// Ping sends a PINGREQ. With Config.ManualPing the caller does so at least
// once in the keep alive interval when it sends nothing else; else it may do
// so at any time. It fails with ErrNotConnected.
func (c *Client) Ping(dst []byte, now time.Time) ([]byte, error) {
	if c.state != StateConnected {
		return dst, ErrNotConnected
	}
	c.clock(now)
	return c.end(c.ping(dst), len(dst)), nil
}

func (c *Client) ping(dst []byte) []byte {
	if n := c.conn.timed; int32(n) == c.conn.pings && int(n) < len(c.conn.pinged) {
		c.conn.pinged[n] = c.now
		c.conn.timed++
	}
	c.conn.pings++
	c.stats.PingsSent++
	return append(dst, byte(TypePingReq)<<4, 0)
}

func (c *Client) onPingResp(f Frame, d Dialect) error {
	var p Ping
	if err := p.Decode(f, d); err != nil {
		return err
	}
	if c.conn.pings == 0 {
		c.stats.PongsUnasked++
		return nil
	}
	c.ev.Kind, c.ev.RTT = EventPong, 0
	if c.conn.timed > 0 {
		c.ev.RTT = time.Duration(c.now - c.conn.pinged[0])
		copy(c.conn.pinged[:], c.conn.pinged[1:])
		c.conn.timed--
	}
	c.has |= hasPacket
	c.conn.pings--
	return nil
}

// pingDue is when a PINGREQ is due: when nothing was sent for the keep alive
// interval (MQTT-3.1.2-20), or nothing received, so that a dead link is found
// while publishing at QoS 0.
func (c *Client) pingDue() int64 {
	k := int64(c.lim.KeepAlive) * int64(time.Second)
	if k == 0 {
		return never
	}
	due := c.conn.lastSent
	if c.conn.pings == 0 {
		due = min(due, c.conn.lastRecv)
	}
	if c.cfg.ManualPing {
		due = max(due, c.conn.told)
	}
	return after(due, time.Duration(k))
}

// pongDue is when a silent server is given up. What arrives while the answer
// is awaited shows that it lives.
func (c *Client) pongDue() int64 {
	if c.conn.pings == 0 || c.cfg.PingTimeout < 0 {
		return never
	}
	// A PINGREQ without a time was sent while another was under way, whose
	// answer has come since.
	since := c.conn.lastRecv
	if c.conn.timed > 0 {
		since = max(since, c.conn.pinged[0])
	}
	return after(since, c.cfg.PingTimeout)
}

// Deadline is when Tick is to be called at the latest; zero: no need to. It
// fits net.Conn.SetReadDeadline as it is; but a read whose deadline has passed
// reads nothing, so that a caller who was held up, by a write for one, must give
// it a moment, lest Tick misses the answer that is there.
func (c *Client) Deadline() time.Time {
	t := int64(never)
	switch c.state {
	case StateConnecting:
		if c.cfg.ConnectTimeout > 0 {
			t = after(c.conn.started, c.cfg.ConnectTimeout)
		}
	case StateConnected:
		t = min(c.pingDue(), c.pongDue())
	}
	if c.expires != 0 {
		t = min(t, c.expires)
	}
	if t == never {
		return time.Time{}
	}
	deadline := c.base.Add(time.Duration(t - c.now))
	if deadline.IsZero() { // now, at the zero time
		deadline = deadline.Add(1)
	}
	return deadline
}

// Tick does what is due by now: it pings, gives up a server that does not
// answer, and drops queued messages that have expired. It is harmless at any
// time.
func (c *Client) Tick(dst []byte, now time.Time) []byte {
	c.clock(now)
	before := len(dst)
	switch c.state {
	case StateConnecting:
		if t := c.cfg.ConnectTimeout; t > 0 && c.now >= after(c.conn.started, t) {
			c.close(CauseConnectTimeout, 0, nil)
		}
	case StateConnected:
		if c.now >= c.pongDue() {
			c.close(CauseKeepAliveTimeout, 0, nil)
		} else if c.now >= c.pingDue() {
			if c.cfg.ManualPing {
				c.conn.told = c.now
				c.has |= hasKeepAliveDue
			} else {
				dst = c.ping(dst)
			}
		}
	}
	if c.expires != 0 && c.now >= c.expires {
		c.expireQueued()
	}
	return c.end(dst, before)
}
