// This file holds how much larger a program becomes by a client in it. What
// may be imported is in imports_test.go.

package mqttcore

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestProgramSize builds a program with a client, and one without, for
// WebAssembly: the difference is what the package and all that it imports take.
func TestProgramSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds two programs")
	}
	const limit = 900 << 10
	size := func(name string) int64 {
		out := filepath.Join(t.TempDir(), name)
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/size/"+name)
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build, err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	empty, client := size("empty"), size("client")
	t.Logf("%d KiB without a client, %d KiB with one", empty>>10, client>>10)
	if grown := client - empty; grown > limit {
		t.Errorf("a client adds %d bytes, want at most %d", grown, limit)
	}
}
