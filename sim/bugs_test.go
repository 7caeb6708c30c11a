package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBugs shows that the oracles can fail: each of the known bugs is put into
// the code, and must be caught by a campaign within its budget. It takes some
// minutes, and runs when MQTT_BUGS is set.
func TestBugs(t *testing.T) {
	if os.Getenv("MQTT_BUGS") == "" {
		t.Skip("it builds a program for each bug, which takes minutes; set MQTT_BUGS=1")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(bugs) < 25 {
		t.Errorf("%d bugs", len(bugs))
	}
	dir := t.TempDir()
	// As many at a time as there are processors, whatever -parallel says.
	free := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i := range bugs {
		free <- struct{}{}
		all.Add(1)
		go func() {
			defer func() { <-free; all.Done() }()
			b := &bugs[i]
			if found, err := b.hunt(root, filepath.Join(dir, strconv.Itoa(i)), "TestBugHunt", huntEnv+"="+strconv.Itoa(b.runs)); err != nil {
				t.Errorf("%s: %v", b.name, err)
			} else {
				t.Logf("%-60s | %-40s | within %4d: %s", b.name, b.breaks, b.runs, found)
			}
		}()
	}
	all.Wait()
}

// TestBugTexts: each bug can be put into the code as it is.
func TestBugTexts(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for i := range bugs {
		b := &bugs[i]
		if _, err := b.apply(root, t.TempDir()); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		if names[b.name] {
			t.Errorf("%s: there are two", b.name)
		}
		names[b.name] = true
	}
}

// huntTime is how long a campaign may take: a bug can make it go on for ever.
const huntTime = time.Minute

// hunt puts the bug into a program of its own and lets a test of that look for
// it, with env in its environment. It returns what was found.
func (b *bug) hunt(root, dir, test, env string) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	overlay, err := b.apply(root, dir)
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "hunt.test")
	build := exec.Command("go", "test", "-c", "-overlay="+overlay, "-ldflags=-s -w", "-o", program, "./sim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	defer func() { _ = os.Remove(program) }()
	ctx, stop := context.WithTimeout(context.Background(), huntTime)
	defer stop()
	run := exec.CommandContext(ctx, program, "-test.run=^"+test+"$")
	run.Dir = dir
	run.Env = append(os.Environ(), env)
	out, err := run.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if found, ok := strings.CutPrefix(strings.TrimSpace(line), caughtMark); ok {
			return found, nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s failed otherwise: %w\n%s", test, err, out)
	}
	return "", fmt.Errorf("not caught by %s with %s", test, env)
}

// apply writes the changed files and the overlay that puts them in the place of
// the originals.
func (b *bug) apply(root, dir string) (overlay string, err error) {
	replace := map[string]string{}
	for _, e := range b.edits {
		name := filepath.Join(root, filepath.FromSlash(e.file))
		from := name
		if changed, ok := replace[name]; ok {
			from = changed
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), e.find); n != 1 {
			return "", fmt.Errorf("%s: %q is there %d times, not once", e.file, e.find, n)
		}
		changed := filepath.Join(dir, filepath.Base(e.file))
		if err := os.WriteFile(changed, []byte(strings.Replace(string(text), e.find, e.replace, 1)), 0o600); err != nil {
			return "", err
		}
		replace[name] = changed
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// huntEnv tells TestBugHunt, in the programs that TestBugs starts, how many runs
// to make.
const huntEnv = "MQTT_BUG_RUNS"

// What TestBugHunt tells TestBugs.
const (
	caughtMark  = "caught in run "
	escapedMark = "not caught in "
)

// TestBugHunt is a campaign until its first contradiction.
func TestBugHunt(t *testing.T) {
	runs, err := strconv.ParseUint(os.Getenv(huntEnv), 10, 64)
	if err != nil {
		t.Skip("TestBugs runs it, with " + huntEnv)
	}
	for seed := uint64(1); seed <= runs; seed++ {
		if err := huntOnce(seed); err != nil {
			fmt.Printf("%s%d: %v\n", caughtMark, seed, err)
			return
		}
	}
	fmt.Printf("%s%d runs\n", escapedMark, runs)
}

// huntOnce makes a run, in which a panic is a find, too.
func huntOnce(seed uint64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	src := Seed(seed)
	return Run(src, Draw(src, Limits{Clients: 4, Steps: 1500}), nil).Err
}
