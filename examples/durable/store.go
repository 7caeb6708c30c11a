// This file holds the file on disk: groups of bytes that are written whole or
// not at all. It knows nothing of MQTT, nor what the bytes mean.

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// group is what one transaction holds. The first group of a file is all that
// there is to know at its time; every other one is what changed.
type group struct {
	session []byte // a snapshot of the session; ops
	ledger  []byte // of the application
}

// A group on disk, integers big-endian: size of session 4, size of ledger 4,
// CRC-32 of these; session, ledger, CRC-32 of both.
const headSize, sumSize = 12, 4

func (g group) appendTo(b []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.session)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.ledger)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
	at = len(b)
	b = append(append(b, g.session...), g.ledger...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

var errDamaged = errors.New("the file is damaged")

// consumeGroup takes the group at the start of b. n is 0 when it is the last
// one and was not written to its end: then it was never committed, and nothing
// that followed from it was ever sent. Other damage is an error.
func consumeGroup(b []byte) (g group, n int, err error) {
	if len(b) < headSize {
		return g, 0, nil
	}
	if binary.BigEndian.Uint32(b[8:]) != crc32.ChecksumIEEE(b[:8]) {
		if len(bytes.TrimRight(b, "\x00")) < headSize {
			return g, 0, nil // a file may have grown before its content came
		}
		return g, 0, errDamaged
	}
	middle := headSize + uint64(binary.BigEndian.Uint32(b))
	end := middle + uint64(binary.BigEndian.Uint32(b[4:]))
	if uint64(len(b)) < end+sumSize {
		return g, 0, nil
	}
	if binary.BigEndian.Uint32(b[end:]) != crc32.ChecksumIEEE(b[headSize:end]) {
		if uint64(len(b)) == end+sumSize {
			return g, 0, nil
		}
		return g, 0, errDamaged
	}
	return group{session: b[headSize:middle], ledger: b[middle:end]}, int(end) + sumSize, nil
}

// store is an open file of groups.
type store struct {
	path string
	f    *os.File
	size int // of the file
	base int // of its first group
	at   func(place string)
}

// openStore gives the groups of the file to load, in order, and cuts off one
// that was never finished. A file that does not exist begins with first.
func openStore(path string, first group, at func(place string), load func(g group, first bool) error) (*store, error) {
	st := &store{path: path, at: at}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := st.restart(first); err != nil {
			return nil, err
		}
		return st, load(first, true)
	}
	if err != nil {
		return nil, err
	}
	if st.size, st.base, err = loadGroups(b, load); err != nil {
		return nil, err
	}
	if st.f, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if err = st.f.Truncate(int64(st.size)); err == nil {
		err = st.f.Sync()
	}
	return st, err
}

// loadGroups gives the groups in b to load. size is that of all of them, base
// that of the first.
func loadGroups(b []byte, load func(g group, first bool) error) (size, base int, err error) {
	for size < len(b) {
		g, n, err := consumeGroup(b[size:])
		if err == nil && n > 0 {
			err = load(g, size == 0)
		}
		if err != nil {
			return size, base, err
		}
		if n == 0 {
			break
		}
		if size == 0 {
			base = n
		}
		size += n
	}
	if size == 0 {
		return 0, 0, errDamaged // the first group comes with the file (restart)
	}
	return size, base, nil
}

// commit appends a group. When it returns nil the group is on disk. After an
// error nobody knows, and the process must begin again from the file.
func (st *store) commit(g group) error {
	b := g.appendTo(nil)
	half := len(b) / 2 // two writes, so that a test can end the process between them
	if _, err := st.f.WriteAt(b[:half], int64(st.size)); err != nil {
		return err
	}
	st.at("torn")
	if _, err := st.f.WriteAt(b[half:], int64(st.size+half)); err != nil {
		return err
	}
	st.size += len(b)
	return st.f.Sync()
}

// restart replaces the file, in one step, by one that has only the group first.
func (st *store) restart(first group) error {
	b := first.appendTo(nil)
	f, err := os.OpenFile(st.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	st.at("compacted")
	if err == nil {
		err = os.Rename(f.Name(), st.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(st.path))
	}
	if err != nil {
		f.Close()
		return err
	}
	st.at("renamed")
	if st.f != nil {
		st.f.Close()
	}
	st.f, st.size, st.base = f, len(b), len(b)
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
