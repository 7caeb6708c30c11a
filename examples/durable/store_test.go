package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// readStore writes b to a file and reads it as the program does: what the
// groups hold, one after the other.
func readStore(t *testing.T, b []byte) (content string, size int, err error) {
	path := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := openStore(path, group{}, func(string) {}, func(g group, first bool) error {
		content += fmt.Sprintf("%v %s %s;", first, g.session, g.ledger)
		return nil
	})
	if err != nil {
		return content, 0, err
	}
	defer st.f.Close()
	info, err := st.f.Stat()
	if err != nil || int(info.Size()) != st.size {
		t.Fatalf("the file has %d bytes, not %d: %v", info.Size(), st.size, err)
	}
	return content, st.size, nil
}

func TestStoreTorn(t *testing.T) {
	var b []byte
	ends, contents, want := []int{}, []string{}, ""
	for i, g := range []group{{session: []byte("s0"), ledger: []byte("l0")}, {ledger: []byte("l1")}, {session: []byte("s2")}} {
		b = g.appendTo(b)
		want += fmt.Sprintf("%v %s %s;", i == 0, g.session, g.ledger)
		ends, contents = append(ends, len(b)), append(contents, want)
	}
	whole := -1
	for i := range len(b) + 1 {
		if i == ends[whole+1] {
			if whole++; whole == len(ends)-1 {
				ends = append(ends, -1)
			}
		}
		for _, zeros := range []int{0, 1, 11, 12, 40} { // that a file system may leave behind a group
			if zeros > 0 && (whole < 0 || i != ends[whole]) {
				continue
			}
			got, size, err := readStore(t, append(bytes.Clone(b[:i]), make([]byte, zeros)...))
			switch {
			case whole < 0:
				if !errors.Is(err, errDamaged) {
					t.Errorf("cut at byte %d of the first group: %v", i, err)
				}
			case err != nil || got != contents[whole] || size != ends[whole]:
				t.Errorf("cut at byte %d, %d zeros: %q, %d, %v", i, zeros, got, size, err)
			}
		}
	}
	for n := range len(b) - ends[1] { // a file that has grown, and of whose last group the beginning has come
		rest := bytes.Clone(b)
		clear(rest[ends[1]+n:])
		if got, _, err := readStore(t, rest); err != nil || got != contents[1] && !bytes.Equal(rest, b) {
			t.Errorf("zeros from byte %d of the last group: %q, %v", n, got, err)
		}
	}
	for i := range len(b) * 8 {
		damaged := bytes.Clone(b)
		damaged[i/8] ^= 1 << (i % 8)
		got, _, err := readStore(t, damaged)
		// Only the body of the last group may be what was not written yet.
		if last := i/8 >= ends[1]+headSize; last && (err != nil || got != contents[1]) || !last && !errors.Is(err, errDamaged) {
			t.Errorf("bit %d: %q, %v", i, got, err)
		}
	}
}

// To list what is known harms no program that is writing.
func TestListWhileRunning(t *testing.T) {
	for _, order := range []string{"together", "apart"} {
		o := &options{file: filepath.Join(t.TempDir(), "f"), id: "courier", version: 5, qos: 1, order: order, compact: 1 << 16, at: func(string) {}}
		if err := o.list(new(bytes.Buffer)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: without a file: %v", order, err)
		}
		k, err := o.open()
		if err != nil {
			t.Fatal(err)
		}
		if err := k.effect("asked 1"); err != nil {
			t.Fatal(err)
		}
		torn := 0
		k.store.at = func(place string) {
			if place == "torn" {
				torn++
				if err := o.list(new(bytes.Buffer)); err != nil {
					t.Errorf("%s: %v", order, err)
				}
			}
		}
		if err := k.commit(); err != nil || torn == 0 {
			t.Fatalf("%s: written in one piece, or %v", order, err)
		}
		again, err := o.open()
		if err != nil {
			t.Fatalf("%s: %v", order, err)
		}
		if again.ledger.asked != 1 {
			t.Errorf("%s: %s", order, again.ledger.lines())
		}
	}
}
