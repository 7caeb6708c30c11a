// This file tests items of Qt MQTT's client, listed in docs/qt.md, that no
// script shows: its errors, message states and subscription objects.

package mqttcore

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// qtItems are the tests by the names under which docs/qt.md lists them.
var qtItems = []namedTest{
	{"TestQtItems", "client-error", qtClientError},
	{"TestQtItems", "message-status", qtMessageStatus},
	{"TestQtItems", "same-filter-same-subscription", qtSameFilter},
	{"TestQtItems", "message-tells-its-subscriptions", qtMatches},
	{"TestQtItems", "resubscribe", qtResubscribe},
	{"TestQtItems", "properties-only-in-5", qtNoProperties},
	{"TestQtItems", "state-changes", qtStates},
	{"TestQtItems", "server-properties-after-refusal", qtLimitsAfterRefusal},
}

func TestQtItems(t *testing.T) { runNamed(t, qtItems) }

// Every code that a CONNACK can refuse with, and the cause that it is.
func qtClientError(t *testing.T) {
	causes := map[ReasonCode]Cause{
		ReasonUnsupportedProtocolVersion: CauseInvalidProtocolVersion,
		ReasonClientIdentifierNotValid:   CauseIDRejected,
		ReasonServerUnavailable:          CauseServerUnavailable,
		ReasonServerBusy:                 CauseServerUnavailable,
		ReasonUseAnotherServer:           CauseServerUnavailable,
		ReasonServerMoved:                CauseServerUnavailable,
		ReasonBadUserNameOrPassword:      CauseBadUsernameOrPassword,
		ReasonNotAuthorized:              CauseNotAuthorized,
		ReasonMalformedPacket:            CauseProtocolViolation,
		ReasonProtocolError:              CauseProtocolViolation,
		ReasonUnspecifiedError:           CauseUnknown,
	}
	seen := 0
	for n := range 256 {
		code := ReasonCode(n)
		_, is3 := code.ReturnCode()
		for _, v := range []Version{V31, V311, V5} {
			if !code.IsError() || !code.AllowedIn(TypeConnAck, FromServer) || v != V5 && !is3 {
				continue
			}
			want, ok := causes[code]
			if !ok {
				want = CauseSpecific
			}
			l := qtConnect(t, Config{Version: v}, nil, nil)
			l.receive(&ConnAck{Code: code})
			l.want("* closed: " + want.String() + ", " + code.String())
			seen++
		}
	}
	if seen < 20+2*5 {
		t.Errorf("only %d", seen)
	}
}

// The steps of messages out and in.
func qtMessageStatus(t *testing.T) {
	l := qtConnect(t, Config{Progress: true, Props: mustProps(t, SessionExpiry(9))}, nil, qtAccept)
	var got []MessageStatus
	step := func(out []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for ev := (Event{}); l.c.Next(&ev); {
			if ev.Kind == EventProgress {
				got = append(got, ev.Status)
				if own := ev.From == FromClient; own != (ev.Tag == 5) || ev.ID == 0 && ev.Status != StatusQueued {
					t.Errorf("%v of %v, tag %d, identifier %d", ev.Status, ev.From, ev.Tag, ev.ID)
				}
			}
		}
	}
	receive := func(p Packet) {
		t.Helper()
		in, err := p.AppendTo(nil, Dialect{Version: V5, From: FromServer})
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := l.c.Receive(nil, l.now, in)
		step(out, err)
	}
	want := func(statuses ...MessageStatus) {
		t.Helper()
		if diff := cmp.Diff(statuses, got); diff != "" {
			t.Error(diff)
		}
		got = nil
	}
	step(l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), QoS: QoS1}, 5))
	receive(&Ack{Type: TypePubAck, ID: 1})
	want(StatusQueued, StatusSent, StatusAcknowledged)
	step(l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), QoS: QoS2}, 5))
	l.c.Lost(l.now, nil)
	step(nil, nil)
	step(l.c.Connect(nil, l.now))
	receive(qtPresent)
	receive(&Ack{Type: TypePubRec, ID: 2})
	receive(&Ack{Type: TypePubComp, ID: 2})
	want(StatusQueued, StatusSent, StatusResent, StatusReceived, StatusReleased, StatusCompleted)
	receive(&Publish{Topic: []byte("b"), QoS: QoS1, ID: 7})
	want(StatusPublished, StatusAcknowledged)
	receive(&Publish{Topic: []byte("b"), QoS: QoS2, ID: 8})
	receive(&Ack{Type: TypePubRel, ID: 8})
	want(StatusPublished, StatusReceived, StatusReleased, StatusCompleted)
}

func live(c *Client) (all []string) {
	for s := range c.Subscriptions() {
		all = append(all, s.Subscription.String()+", granted "+s.Granted.String())
	}
	slices.Sort(all)
	return all
}

// A filter and its shared twin are two; asked for again, a filter is sent again
// and stays one.
func qtSameFilter(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	a, shared := []byte("a"), []byte("$share/g/a")
	l.subscribe(1, Subscription{Filter: a, QoS: QoS2}, Subscription{Filter: shared}, Subscription{Filter: []byte("no")})
	l.receive(&SubAck{ID: 1, Codes: []byte{1, 0, 0x87}})
	l.log = nil
	if diff := cmp.Diff([]string{"$share/g/a q0, granted Success", "a q2, granted Granted QoS 1"}, live(l.c)); diff != "" {
		t.Error(diff)
	}
	l.subscribe(2, Subscription{Filter: a, QoS: QoS0, NoLocal: true})
	l.receive(&SubAck{ID: 2, Codes: []byte{0}})
	l.want("> SUBSCRIBE id=2 [a q0 no local]", "* subscribed tag=2: Success")
	if diff := cmp.Diff([]string{"$share/g/a q0, granted Success", "a q0 no local, granted Success"}, live(l.c)); diff != "" {
		t.Error(diff)
	}
}

func qtMatches(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	for i, row := range []struct {
		filter string
		id     uint32
	}{{"a/+", 0}, {"a/#", 7}, {"$share/g/a/b", 0}, {"b", 0}} {
		subs, err := NewSubscriptions(Subscription{Filter: []byte(row.filter)})
		if err != nil {
			t.Fatal(err)
		}
		s := &Subscribe{Subscriptions: subs}
		if row.id != 0 {
			s.Props = mustProps(t, SubscriptionID(row.id))
		}
		l.do(l.c.Subscribe(nil, l.now, s, 1))
		l.receive(&SubAck{ID: uint16(i + 1), Codes: []byte{0}})
	}
	for _, c := range []struct {
		name  string
		props Properties
		want  []string
	}{
		{"without identifier", Properties{}, []string{"$share/g/a/b", "a/+"}},
		{"with identifier", mustProps(t, SubscriptionID(7)), []string{"$share/g/a/b", "a/#", "a/+"}},
		{"with one that nobody has", mustProps(t, SubscriptionID(8), SubscriptionID(8)), []string{"$share/g/a/b", "a/+"}},
	} {
		in, err := (&Publish{Topic: []byte("a/b"), Props: c.props}).AppendTo(nil, Dialect{Version: V5, From: FromServer})
		if err != nil {
			t.Fatal(err)
		}
		var ev Event
		if _, _, err := l.c.Receive(nil, l.now, in); err != nil || !l.c.Next(&ev) {
			t.Fatal(err)
		}
		var got []string
		for s := range ev.Matches() {
			got = append(got, string(s.Filter))
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// Subscriptions are asked for again when the session was lost, and only then.
func qtResubscribe(t *testing.T) {
	cfg := qtKeep(t)
	cfg.Resubscribe = true
	l := qtConnect(t, cfg, nil, qtAccept)
	l.subscribe(1, Subscription{Filter: []byte("a/#"), QoS: QoS1, NoLocal: true})
	l.receive(&SubAck{ID: 1, Codes: []byte{1}})
	l.reconnect(nil)
	l.log = nil
	l.receive(qtPresent)
	l.want("* connected session present")
	l.reconnect(nil)
	l.log = nil
	l.receive(qtAccept)
	if !slices.Contains(l.log, "> SUBSCRIBE id=2 [a/# q1 no local]") {
		t.Errorf("%q", l.log)
	}
	l.receive(&SubAck{ID: 2, Codes: []byte{1}})
	if diff := cmp.Diff([]string{"a/# q1 no local, granted Granted QoS 1"}, live(l.c)); diff != "" {
		t.Error(diff)
	}
}

// In 3.x properties are an error: nothing is left out silently.
func qtNoProperties(t *testing.T) {
	subs, err := NewSubscriptions(Subscription{Filter: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	filters, err := NewFilters("a")
	if err != nil {
		t.Fatal(err)
	}
	props := mustProps(t, UserProperty("k", "v"))
	for _, v := range []Version{V31, V311} {
		l := qtConnect(t, Config{Version: v}, nil, qtAccept)
		for name, call := range map[string]func() ([]byte, error){
			"Publish": func() ([]byte, error) {
				return l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), Props: props}, 1)
			},
			"Publish at QoS 1": func() ([]byte, error) {
				return l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), QoS: QoS1, Props: props}, 1)
			},
			"Subscribe": func() ([]byte, error) {
				return l.c.Subscribe(nil, l.now, &Subscribe{Subscriptions: subs, Props: props}, 1)
			},
			"Unsubscribe": func() ([]byte, error) {
				return l.c.Unsubscribe(nil, l.now, &Unsubscribe{Filters: filters, Props: props}, 1)
			},
			"Disconnect": func() ([]byte, error) {
				return l.c.Disconnect(nil, l.now, &Disconnect{Props: props})
			},
		} {
			if out, err := call(); len(out) > 0 || !errors.As(err, new(*Error)) {
				t.Errorf("%v: %s: % x, %v", v, name, out, err)
			}
		}
		for name, cfg := range map[string]Config{
			"connection": {Props: props},
			"will":       {Will: &Will{Topic: []byte("a"), Props: props}},
		} {
			cfg.Version, cfg.ClientID = v, []byte("me")
			if _, err := NewClient(cfg, nil); !errors.As(err, new(*Error)) {
				t.Errorf("%v: %s: %v", v, name, err)
			}
		}
	}
}

func qtStates(t *testing.T) {
	l := qtConnect(t, Config{}, nil, nil)
	got := []State{l.c.State()}
	l.receive(qtAccept)
	got = append(got, l.c.State())
	l.do(l.c.Disconnect(nil, l.now, nil))
	got = append(got, l.c.State())
	if diff := cmp.Diff([]State{StateConnecting, StateConnected, StateDisconnected}, got); diff != "" {
		t.Error(diff)
	}
	l.want("* connected", "> DISCONNECT", "* closed: local disconnect")
}

func qtLimitsAfterRefusal(t *testing.T) {
	l := qtConnect(t, Config{}, nil, nil)
	l.receive(&ConnAck{Code: ReasonQoSNotSupported, Props: mustProps(t, MaximumQoS(1), ReasonString("will"))})
	lim := l.c.Limits()
	if lim.MaximumQoS != QoS1 || !lim.Present.Has(PropMaximumQoS) || lim.Present.Has(PropRetainAvailable) || !lim.RetainAvailable {
		t.Errorf("%+v", lim)
	}
	l.want(`* closed: reason of 5.0, QoS not supported {Maximum QoS: 1, Reason String: will}`)
}
