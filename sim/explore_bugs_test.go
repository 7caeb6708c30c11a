// This file shows that what Explore checks can fail: known bugs, put into the
// code as TestBugs does, are found within small scopes.

package sim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// exploreBugs are those that Explore must find. Those without edits are in the
// table of TestBugs.
var exploreBugs = []bug{
	{name: "PUBREL forgotten on resume"},
	{name: "PUBLISH forgotten on resume"},
	{name: "DUP not set on what is sent again"},
	{name: "QoS 2 message delivered again when it comes again"},
	{name: "received identifiers kept when the session is lost, 3.1.1"},
	{name: "repeat not answered with PUBREC"},
	{name: "PUBREL of an unknown identifier not answered"},
	{name: "session that may exist taken for a violation"},
	{name: "no op when a message is released"},
	{name: "written before it is committed", edits: []edit{
		{"sim/explore_process.go", "\t\tst.commit()\n\t\tif st.dies() {\n\t\t\treturn false\n\t\t}\n\t\tst.write(before)\n",
			"\t\tst.write(before)\n\t\tif st.dies() {\n\t\t\treturn false\n\t\t}\n\t\tst.commit()\n"}}},
}

// exploreScopes are the scopes in which a bug is looked for, small ones first.
func exploreScopes(yield func(Scope) bool) {
	for _, row := range [...]struct {
		toBroker, toClient string
		reconnects         int
		keepAlive          uint16
	}{
		{"2", "2", 1, 0},
		{"", "22", 1, 0},
		{"12", "12", 1, 0},
		{"2", "2", 2, 60},
	} {
		for _, v := range versions {
			if !yield(Scope{Version: v, ToBroker: digits(row.toBroker), ToClient: digits(row.toClient),
				Reconnects: row.reconnects, KeepAlive: row.keepAlive}) {
				return
			}
		}
	}
}

// TestExploreBugs shows that what Explore checks can fail.
func TestExploreBugs(t *testing.T) {
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
	dir := t.TempDir()
	free := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i, b := range exploreBugs {
		if b.edits == nil {
			at := slices.IndexFunc(bugs, func(k bug) bool { return k.name == b.name })
			if at < 0 {
				t.Errorf("%s is not in the table", b.name)
				continue
			}
			b = bugs[at]
		}
		free <- struct{}{}
		all.Add(1)
		go func() {
			defer func() { <-free; all.Done() }()
			found, err := b.hunt(root, filepath.Join(dir, strconv.Itoa(i)), "TestExploreHunt", exploreEnv+"=1")
			if err != nil {
				t.Errorf("%s: %v", b.name, err)
				return
			}
			t.Logf("%-60s | %s", b.name, found)
		}()
	}
	all.Wait()
}

// exploreEnv tells TestExploreHunt, in the programs that TestExploreBugs starts,
// to look.
const exploreEnv = "MQTT_BUG_EXPLORE"

// TestExploreHunt explores until the first contradiction.
func TestExploreHunt(t *testing.T) {
	if os.Getenv(exploreEnv) == "" {
		t.Skip("TestExploreBugs runs it, with " + exploreEnv)
	}
	for s := range exploreScopes {
		if r := Explore(s); r.Err != nil {
			fmt.Printf("%s%v, after %d actions: %v\n", caughtMark, s.Version, len(r.Trace), r.Err)
			return
		}
	}
	fmt.Println(escapedMark + "any scope")
}
