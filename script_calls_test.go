// This file holds the steps of scripts that call the client, one row each.

package mqttcore

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scribble destroys what a call was given: the client must have copied it.
func scribble(slices ...[]byte) {
	for _, b := range slices {
		for i := range b {
			b[i] = 0x5A
		}
	}
}

// request counts a tag whose call was accepted.
func (st *stage) request(tag uint64, call func(dst []byte) ([]byte, error)) error {
	return st.do(func(dst []byte) ([]byte, error) {
		out, err := call(dst)
		if err == nil {
			st.open[tag]++
		}
		return out, err
	})
}

// scriptCalls are the steps that call the client. To add one: a row here, a
// line in the README.
var scriptCalls = map[string]func(*stage, *fields) error{
	"session": func(st *stage, f *fields) error {
		st.c, st.s, st.replica = nil, nil, new(Session)
		st.open = map[uint64]int{}
		return nil
	},
	"client":  (*stage).newClient,
	"restart": (*stage).restart,
	"connect": func(st *stage, f *fields) error {
		wasClosed := st.closed
		st.closed = false
		st.in = nil
		err := st.do(func(dst []byte) ([]byte, error) { return st.c.Connect(dst, st.now) })
		if len(st.errs) > 0 {
			st.closed = wasClosed
		}
		return err
	},
	"publish": func(st *stage, f *fields) error {
		var p Publish
		if err := parsePublish(f, &p); err != nil {
			f.num("tag")
			st.errs = append(st.errs, errorText(err))
			return nil
		}
		tag := uint64(f.num("tag"))
		call := func(dst []byte) ([]byte, error) { return st.c.Publish(dst, st.now, &p, tag) }
		err := st.do(func(dst []byte) ([]byte, error) {
			given := p
			out, err := call(dst)
			if !reflect.DeepEqual(given, p) {
				return out, errors.New("the caller's packet was changed")
			}
			if err == nil && p.QoS > 0 {
				st.open[tag]++
			}
			return out, err
		})
		scribble(p.Topic, p.Payload, p.Props.wire)
		return err
	},
	"subscribe": func(st *stage, f *fields) error {
		var p Subscribe
		tag := uint64(f.num("tag"))
		list, err := parseSubscriptions(f)
		if err == nil {
			p.Subscriptions = list
			p.Props, err = NewProperties(f.props...)
		}
		if err != nil {
			st.errs = append(st.errs, errorText(err))
			return nil
		}
		err = st.request(tag, func(dst []byte) ([]byte, error) { return st.c.Subscribe(dst, st.now, &p, tag) })
		scribble(p.Subscriptions.list.wire, p.Props.wire)
		return err
	},
	"unsubscribe": func(st *stage, f *fields) error {
		var p Unsubscribe
		tag := uint64(f.num("tag"))
		list, err := parseFilters(f)
		if err == nil {
			p.Filters = list
			p.Props, err = NewProperties(f.props...)
		}
		if err != nil {
			st.errs = append(st.errs, errorText(err))
			return nil
		}
		err = st.request(tag, func(dst []byte) ([]byte, error) { return st.c.Unsubscribe(dst, st.now, &p, tag) })
		scribble(p.Filters.list.wire, p.Props.wire)
		return err
	},
	"ping": func(st *stage, f *fields) error {
		return st.do(func(dst []byte) ([]byte, error) { return st.c.Ping(dst, st.now) })
	},
	"disconnect": func(st *stage, f *fields) error {
		props, err := NewProperties(f.props...)
		if err != nil {
			return err
		}
		p := &Disconnect{Code: ReasonCode(f.num("code")), Props: props}
		if p.Code == 0 && props.Len() == 0 {
			p = nil
		}
		return st.do(func(dst []byte) ([]byte, error) { return st.c.Disconnect(dst, st.now, p) })
	},
	"ack": func(st *stage, f *fields) error {
		props, err := NewProperties(f.props...)
		if err != nil {
			return err
		}
		n := int(f.num("token"))
		if n < 1 || n > len(st.tokens) {
			return fmt.Errorf("no message came with token %d", n)
		}
		code := ReasonCode(f.num("code"))
		err = st.do(func(dst []byte) ([]byte, error) { return st.c.Ack(dst, st.now, st.tokens[n-1], code, props) })
		scribble(props.wire)
		return err
	},
	"auth": func(st *stage, f *fields) error {
		props, err := NewProperties(f.props...)
		if err != nil {
			return err
		}
		p := &Auth{Code: ReasonCode(f.num("code")), Props: props}
		return st.do(func(dst []byte) ([]byte, error) { return st.c.Auth(dst, st.now, p) })
	},
	"lost": func(st *stage, f *fields) error {
		var cause error
		if f.has("cause") {
			cause = errors.New(string(f.bytes("cause")))
		}
		return st.do(func(dst []byte) ([]byte, error) {
			st.c.Lost(st.now, cause)
			return dst, nil
		})
	},
	// tick is done twice: without More the second must change nothing.
	"tick": func(st *stage, f *fields) error {
		err := st.do(func(dst []byte) ([]byte, error) { return st.c.Tick(dst, st.now), nil })
		if err != nil || st.c.More() {
			return err
		}
		before := dumpState(st.c)
		if out := st.c.Tick(nil, st.now); len(out) > 0 {
			return fmt.Errorf("a second Tick sends %x", out)
		}
		if after := dumpState(st.c); before != after {
			return fmt.Errorf("a second Tick changes the state:\n%s", cmp.Diff(before, after))
		}
		return nil
	},
	// show does nothing: facts follow it.
	"show": func(st *stage, f *fields) error { return nil },
}

var scriptOptions = map[string]Options{
	"AllowReservedFlags": AllowReservedFlags, "AllowDupAtQoS0": AllowDupAtQoS0, "AllowLongLengths": AllowLongLengths,
	"AllowShortConnAck": AllowShortConnAck, "AllowPresentWithError": AllowPresentWithError,
	"AllowAnyReason": AllowAnyReason, "AllowSessionPresent": AllowSessionPresent,
	"AllowAboveReceiveMaximum": AllowAboveReceiveMaximum,
	"RefuseControlChars":       RefuseControlChars, "RefuseInvalidPayload": RefuseInvalidPayload,
}

// newClient makes a client on the session of the last one, if there is one.
// What the line does not mention stays as it was configured.
func (st *stage) newClient(f *fields) error {
	next := st.cfg
	cfg := &next
	p := Connect{ClientID: cfg.ClientID, CleanStart: cfg.CleanStart, KeepAlive: cfg.KeepAlive,
		Username: cfg.Username, Password: cfg.Password, Props: cfg.Props}
	if err := parseConnect(f, &p); err != nil {
		return err
	}
	cfg.ClientID, cfg.CleanStart, cfg.KeepAlive = p.ClientID, p.CleanStart, p.KeepAlive
	cfg.Username, cfg.Password, cfg.Props = p.Username, p.Password, p.Props
	if f.has("will") {
		cfg.Will = &p.Will
	}
	number := func(name string, set func(int64)) {
		if f.has(name) {
			set(f.num(name))
		}
	}
	duration := func(name string, to *time.Duration) error {
		if !f.has(name) {
			return nil
		}
		d, err := time.ParseDuration(f.raw(name))
		*to = d
		return err
	}
	if err := errors.Join(duration("connect-timeout", &cfg.ConnectTimeout), duration("ping-timeout", &cfg.PingTimeout)); err != nil {
		return err
	}
	number("max-packet-size", func(n int64) { cfg.MaxPacketSize = uint32(n) })
	number("max-incoming", func(n int64) { cfg.MaxIncoming = int(n) })
	number("max-inflight", func(n int64) { cfg.MaxInflight = uint16(n) })
	number("max-queued", func(n int64) { cfg.MaxQueued = int(n) })
	number("max-queued-bytes", func(n int64) { cfg.MaxQueuedBytes = int(n) })
	number("burst", func(n int64) { cfg.Burst = int(n) })
	number("topic-aliases", func(n int64) { cfg.TopicAliases = uint16(n) })
	number("stream-above", func(n int64) { cfg.StreamAbove = uint32(n) })
	for name, to := range map[string]*bool{
		"manual-ping": &cfg.ManualPing, "manual-ack": &cfg.ManualAck, "drop-queued": &cfg.DropQueued,
		"drop-oldest": &cfg.DropOldest, "resubscribe": &cfg.Resubscribe, "progress": &cfg.Progress,
	} {
		if f.has(name) {
			*to = f.flag(name)
		}
	}
	f.has("option")
	for _, name := range f.vals["option"] {
		o, ok := scriptOptions[name]
		if !ok {
			return fmt.Errorf("no option is called %q", name)
		}
		cfg.Options |= o
	}
	c, err := NewClient(*cfg, st.s)
	if err != nil {
		st.errs = append(st.errs, errorText(err))
		return nil
	}
	st.cfg, st.c, st.s, st.closed, st.in = next, c, c.Session(), false, nil
	return st.drain()
}

// restart is a new process: a client of the same configuration with a session
// that was restored from the bytes of the old one.
func (st *stage) restart(f *fields) error {
	b, err := st.s.AppendBinary(nil)
	s := new(Session)
	err = errors.Join(err, s.UnmarshalBinary(b))
	if err == nil {
		st.s = s
		err = st.newClient(f)
	}
	return err
}
