package sim

import "time"

// actKind is what the world does in a step.
type actKind uint8

const (
	actWake actKind = iota
	actOpen
	actRefuse
	actCut
	actEnd
	actDeliver
)

// errs are what a node is told when it loses a connection.
var errs = [...]error{actRefuse: ErrRefused, actCut: ErrCut, actEnd: ErrPeer}

// action is something that is to happen. It is small, for actions are moved about
// all the time.
type action struct {
	kind actKind
	wake uint32
	conn *Conn
	host *Host // to be woken
}

// item is an action and its time; of two at the same time, the one that was
// scheduled first comes first.
type item struct {
	at  time.Duration
	seq uint64
	action
}

func (a *item) before(b *item) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// queue is a binary heap of items.
type queue []item

func (q *queue) push(it item) {
	*q = append(*q, it)
	h := *q
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !it.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = it
}

func (q *queue) pop() item {
	h := *q
	first, last := h[0], h[len(h)-1]
	h[len(h)-1] = item{}
	h = h[:len(h)-1]
	*q = h
	for i := 0; len(h) > 0; {
		down := 2*i + 1
		if down >= len(h) {
			h[i] = last
			break
		}
		if down+1 < len(h) && h[down+1].before(&h[down]) {
			down++
		}
		if !h[down].before(&last) {
			h[i] = last
			break
		}
		h[i] = h[down]
		i = down
	}
	return first
}
