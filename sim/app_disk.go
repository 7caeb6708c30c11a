// This file holds what an application does when its disk refuses a turn, and what
// may be on the disk then.

package sim

import (
	"errors"

	"mqttcore"
)

var errDisk = errors.New("sim: the disk refuses")

// failCommit is a commit that fails: nothing of the turn is on disk, or the
// beginning, or all of it, which the disk does not say. The application does what
// mqttcore's journal asks for: what would be written is thrown away, the
// connection is lost, and it begins again from what is on disk.
func (a *App) failCommit() {
	a.h.w.count.FailedCommits++
	a.Ledger.seen("failed commit")
	a.h.Note("commit fails")
	switch a.src().Intn(3) {
	case 0: // nothing
	case 1:
		a.torn()
	case 2:
		a.Ledger.seen("failed commit that is on disk")
		a.commit()
	}
	a.out = a.out[:0]
	a.c.Lost(a.h.Now(), errDisk)
	a.die()
}

// torn has the beginning of the turn's ops on disk. They are all or nothing,
// and what is read of them shows that they are not whole: what went before holds.
// The session's own records show it, too: those that are whole are what they
// were, and the one that is not is left out.
func (a *App) torn() {
	group, ends := a.group[:0], []int{0}
	for a.c.NextOp(&a.op) {
		var err error
		if group, err = a.op.AppendBinary(group); err != nil {
			a.Ledger.fail(a, "%v has no binary form: %v", a.op.Kind, err)
		}
		ends = append(ends, len(group))
	}
	a.group = group
	if len(group) == 0 {
		return
	}
	a.Ledger.seen("failed commit that is torn")
	n := a.src().Intn(len(group))
	whole := 0
	for _, end := range ends {
		if end <= n {
			whole = end
		}
	}
	snapshot, _ := a.disk.AppendBinary(nil)
	s := new(mqttcore.Session)
	if err := s.UnmarshalBinary(snapshot); err != nil {
		a.Ledger.fail(a, "the snapshot does not load: %v", err)
	}
	if got, err := s.Replay(group[:n]); err != nil || got != whole {
		a.Ledger.fail(a, "of ops torn after %d bytes, %d are whole and %d were read: %v", n, whole, got, err)
	}
}
