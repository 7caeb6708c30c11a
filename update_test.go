// This file holds the one flag that rewrites generated files.

package mqttcore

import (
	"flag"
	"os"
	"testing"
)

// update makes the tests that own a generated file write it instead of
// comparing with it: go test -run Table -update .
var update = flag.Bool("update", false, "rewrite the generated files instead of comparing them")

// golden compares got with the file, or writes it under -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s is out of date: run go test -run %s -update .", file, t.Name())
	}
}
