// This file tests Requests and ResponseTo.

package mqttcore

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newRequests(t *testing.T, limit int) *Requests {
	t.Helper()
	r, err := NewRequests([]byte("me/answers"), 0x1122334455667788, limit)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is what the other side makes of a request with props.
func answer(t *testing.T, props Properties) *Publish {
	t.Helper()
	p := &Publish{}
	topic, err := ResponseTo(&Publish{Topic: []byte("service"), Props: props}, &p.Props)
	if err != nil {
		t.Fatal(err)
	}
	p.Topic = topic
	return p
}

var requestTime = time.Unix(1000, 0)

func prepare(t *testing.T, r *Requests, timeout time.Duration, tag uint64) (RequestID, Properties) {
	t.Helper()
	var props Properties
	id, err := r.Prepare(&props, requestTime, timeout, tag)
	if err != nil {
		t.Fatal(err)
	}
	return id, props
}

func TestRequestProperties(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration
		before  []Property
		want    int64 // Message Expiry Interval, -1: none
	}{
		{"no timeout", 0, nil, -1},
		{"rounded up", 1500 * time.Millisecond, nil, 2},
		{"whole", 2 * time.Second, nil, 2},
		{"shortest", 1, nil, 1},
		{"over already", -time.Second, nil, 0},
		{"longest", 1<<63 - 1, nil, 0xFFFFFFFF},
		{"the caller's stays", time.Second, []Property{MessageExpiry(7), UserProperty("a", "b")}, 7},
		{"the caller's without a timeout", 0, []Property{MessageExpiry(7)}, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRequests(t, 1)
			props, err := NewProperties(c.before...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Prepare(&props, requestTime, c.timeout, 1); err != nil {
				t.Fatal(err)
			}
			expiry, has := props.MessageExpiry()
			if has != (c.want >= 0) || has && int64(expiry) != c.want {
				t.Errorf("expiry %d, %v", expiry, has)
			}
			topic, _ := props.ResponseTopic()
			data, _ := props.CorrelationData()
			if string(topic) != "me/answers" || string(data[:8]) != "\x11\x22\x33\x44\x55\x66\x77\x88" || len(data) != 16 {
				t.Errorf("%s %x", topic, data)
			}
			p := Publish{Topic: []byte("service"), Props: props}
			if _, err := p.AppendTo(nil, Dialect{Version: V5, From: FromClient}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRequestMatch(t *testing.T) {
	r := newRequests(t, 0)
	_, one := prepare(t, r, 0, 1)
	_, two := prepare(t, r, time.Second, 2)
	other, err := NewRequests([]byte("me/answers"), 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign := prepare(t, other, 0, 9)
	elsewhere := answer(t, one)
	elsewhere.Topic = []byte("me/other")
	short := &Publish{Topic: []byte("me/answers")}
	short.Props, _ = NewProperties(CorrelationData("x"))
	unknown := answer(t, one)
	unknown.Props = unknown.Props.Clone()
	unknown.Props.wire[len(unknown.Props.wire)-1] = 0xFF // the slot
	for _, c := range []struct {
		name string
		p    *Publish
		tag  uint64 // 0: no match
	}{
		{"another topic", elsewhere, 0},
		{"no correlation data", &Publish{Topic: []byte("me/answers")}, 0},
		{"other correlation data", short, 0},
		{"another process", answer(t, foreign), 0},
		{"a slot that does not exist", unknown, 0},
		{"the second", answer(t, two), 2},
		{"the second again", answer(t, two), 0},
		{"the first", answer(t, one), 1},
		{"the first again", answer(t, one), 0},
	} {
		if tag, ok := r.Match(c.p); tag != c.tag || ok != (c.tag != 0) {
			t.Errorf("%s: %d, %v", c.name, tag, ok)
		}
	}
	// Another request in the same place is another request.
	_, three := prepare(t, r, 0, 3)
	if _, ok := r.Match(answer(t, one)); ok {
		t.Error("a late answer was taken for another's")
	}
	if tag, ok := r.Match(answer(t, three)); !ok || tag != 3 {
		t.Error(tag, ok)
	}
	if r.Len() != 0 {
		t.Error(r.Len())
	}
}

func TestRequestMisuse(t *testing.T) {
	if _, err := NewRequests([]byte("a/+"), 0, 0); !errors.As(err, new(*Error)) {
		t.Error(err)
	}
	r := newRequests(t, 2)
	for _, x := range []Property{ResponseTopic("x"), CorrelationData("x")} {
		props, err := NewProperties(ContentType("text"), x)
		if err != nil {
			t.Fatal(err)
		}
		before := props.Clone()
		if _, err := r.Prepare(&props, requestTime, time.Second, 1); !errors.As(err, new(*Error)) {
			t.Errorf("%v: %v", x.ID, err)
		}
		if !props.Equal(before) || props.Mask() != before.Mask() || r.Len() != 0 {
			t.Errorf("%v: changed to %v", x.ID, &props)
		}
	}
	id, _ := prepare(t, r, 0, 1)
	prepare(t, r, 0, 2)
	var props Properties
	if _, err := r.Prepare(&props, requestTime, 0, 3); !errors.Is(err, ErrTooManyRequests) || props.Len() != 0 {
		t.Error(err, &props)
	}
	if !r.Cancel(id) || r.Cancel(id) || r.Cancel(0) || r.Cancel(1<<63) || r.Len() != 1 {
		t.Error("cancelling")
	}
	prepare(t, r, 0, 3)
	if r, err := NewRequests([]byte("a"), 0, 1<<20); err != nil || r.limit != 1<<16 {
		t.Error("more than the slots that an identifier has room for")
	}
}

// TestRequestRegisteredFirst: the answer may be there as soon as Prepare has
// returned, before the request was sent.
func TestRequestRegisteredFirst(t *testing.T) {
	r := newRequests(t, 0)
	_, props := prepare(t, r, time.Minute, 7)
	if tag, ok := r.Match(answer(t, props)); !ok || tag != 7 {
		t.Error(tag, ok)
	}
}

// A thousand steps at random against a plain list.
func TestRequestModel(t *testing.T) {
	type waiting struct {
		tag      uint64
		id       RequestID
		answer   *Publish
		deadline time.Time
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		r := newRequests(t, 20)
		var model, past []waiting
		now := requestTime
		take := func(i int) {
			past = append(past, model[i])
			model = slices.Delete(model, i, i+1)
		}
		for step := range uint64(1000) {
			switch rnd.IntN(5) {
			case 0, 1:
				timeout := time.Duration(rnd.IntN(6)) * time.Second
				var props Properties
				id, err := r.Prepare(&props, now, timeout, step)
				if full := len(model) == 20; (err != nil) != full {
					t.Fatal(err)
				} else if full {
					continue
				}
				w := waiting{tag: step, id: id, answer: answer(t, props)}
				if timeout > 0 {
					w.deadline = now.Add(timeout)
				}
				model = append(model, w)
			case 2:
				if len(model) > 0 {
					i := rnd.IntN(len(model))
					if tag, ok := r.Match(model[i].answer); !ok || tag != model[i].tag {
						t.Fatalf("match: %d %v, want %d", tag, ok, model[i].tag)
					}
					take(i)
				}
			case 3:
				if len(model) > 0 {
					i := rnd.IntN(len(model))
					if !r.Cancel(model[i].id) {
						t.Fatal("cancel")
					}
					take(i)
				}
			case 4:
				now = now.Add(time.Duration(rnd.IntN(2000)) * time.Millisecond)
				for {
					i := first(model, func(w waiting) time.Time { return w.deadline })
					over := i >= 0 && !now.Before(model[i].deadline)
					tag, ok := r.Expire(now)
					if ok != over || ok && tag != model[i].tag {
						t.Fatalf("expired %d %v", tag, ok)
					}
					if !ok {
						break
					}
					take(i)
				}
			}
			var want time.Time
			if i := first(model, func(w waiting) time.Time { return w.deadline }); i >= 0 {
				want = model[i].deadline
			}
			if got := r.Deadline(); !got.Equal(want) || r.Len() != len(model) {
				t.Fatalf("deadline %v, want %v; %d wait, want %d", got, want, r.Len(), len(model))
			}
			for _, w := range past {
				if _, ok := r.Match(w.answer); ok || r.Cancel(w.id) {
					t.Fatal("one that was over came back")
				}
			}
		}
	}
}

// first is the index of the earliest time that is not zero, or -1.
func first[T any](s []T, at func(T) time.Time) int {
	found := -1
	for i := range s {
		if d := at(s[i]); !d.IsZero() && (found < 0 || d.Before(at(s[found]))) {
			found = i
		}
	}
	return found
}

func TestRequestAllocs(t *testing.T) {
	r := newRequests(t, 0)
	var props Properties
	in := &Publish{Topic: []byte("me/answers")}
	var failed error
	now := requestTime
	if n := testing.AllocsPerRun(100, func() {
		props.Reset()
		if _, err := r.Prepare(&props, now, time.Second, 1); err != nil {
			failed = err
		}
		in.Props.Reset()
		if _, err := ResponseTo(&Publish{Props: props}, &in.Props); err != nil {
			failed = err
		}
		if _, ok := r.Match(in); !ok {
			failed = errors.New("no match")
		}
		props.Reset()
		if _, err := r.Prepare(&props, now, time.Second, 2); err != nil {
			failed = err
		}
		now = now.Add(time.Second)
		if _, ok := r.Expire(now); !ok {
			failed = errors.New("not expired")
		}
	}); n != 0 || failed != nil {
		t.Error(n, failed)
	}
}

func TestResponseTo(t *testing.T) {
	with := func(ps ...Property) *Publish {
		props, err := NewProperties(ps...)
		if err != nil {
			t.Fatal(err)
		}
		return &Publish{Topic: []byte("service"), Props: props}
	}
	for _, c := range []struct {
		name    string
		request *Publish
		topic   string
		want    []Property
		err     error
	}{
		{"both", with(CorrelationData("c"), ResponseTopic("r")), "r", []Property{ContentType("t"), CorrelationData("c")}, nil},
		{"no correlation data", with(ResponseTopic("r")), "r", []Property{ContentType("t")}, nil},
		{"empty correlation data", with(ResponseTopic("r"), CorrelationData("")), "r", []Property{ContentType("t"), CorrelationData("")}, nil},
		{"no response topic", with(CorrelationData("c")), "", []Property{ContentType("t")}, ErrNoResponseTopic},
	} {
		t.Run(c.name, func(t *testing.T) {
			props := with(ContentType("t")).Props
			topic, err := ResponseTo(c.request, &props)
			if string(topic) != c.topic || !errors.Is(err, c.err) {
				t.Errorf("%q, %v", topic, err)
			}
			if diff := cmp.Diff(with(c.want...).Props.AppendTo(nil), props.AppendTo(nil)); diff != "" {
				t.Error(diff)
			}
		})
	}
	props := with(CorrelationData("mine")).Props
	if _, err := ResponseTo(with(ResponseTopic("r"), CorrelationData("c")), &props); !errors.As(err, new(*Error)) {
		t.Error(err)
	}
}
