// This file compares the transcripts of mosquitto and of the simulator's model
// broker. They may differ as differences_table_test.go says, and do. How
// transcripts come about stands in transcript_test.go.

package interop

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// library keeps the transcripts of a test, by broker and version.
type library struct {
	mu    sync.Mutex
	books map[[2]string]*book
}

func (l *library) open(kind, version string) *book {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.books == nil {
		l.books = map[[2]string]*book{}
	}
	b := new(book)
	l.books[[2]string{kind, version}] = b
	return b
}

// examined has the indices of the differences that were looked for.
var examined sync.Map

// TestMain fails a complete run that did not look for all differences: one may
// be of a scenario that is no more.
func TestMain(m *testing.M) {
	code := m.Run()
	all := true
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench"} {
		all = all && flag.Lookup(name).Value.String() == ""
	}
	if all && code == 0 && brokerRequired() {
		for i, d := range differences {
			if _, ok := examined.Load(i); !ok {
				fmt.Printf("FAIL: no scenario is %s in the versions %q\n", d.scenario, d.versions)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// brokerRequired reports whether a broker that is missing is a failure.
func brokerRequired() bool { return os.Getenv("MQTTCORE_REQUIRE_BROKER") != "" }

var (
	updateFlag      = flag.Bool("update", false, "write the documents that are generated")
	transcriptsFlag = flag.String("transcripts", "", "write the transcripts to files in this `directory`")
)

const differencesFile = "differences.md"

// differencesHead is what stands above the table, with ~ for backquotes.
const differencesHead = `# In which the model broker and mosquitto differ

The simulator's model broker (~sim.Broker~) is checked against mosquitto 2.0: every scenario of the tests runs against both, and what passed on each connection must be the same, packet by packet, but for what stands here. A difference that is not here fails the tests, and so does one that is here and no longer occurs. The model is configured with mosquitto's defaults where the protocol leaves a server the choice (~brokers/model.go~).

Compared is the text of all packets, put into exchanges (a message with its acknowledgements, a request with its answer), without packet identifiers and names that a broker assigns. The order is compared of messages with the same topic and QoS; others may overtake each other. Not compared, because time or chance decides there what passes, are CutAtEveryByte, ExactlyOnce and Durable: what must come of them is the same, and checked, with both.

This file is generated from ~differences_table_test.go~ (~go test -run Differences -update .~).

| scenario | versions | connections | mosquitto | the model | why |
|---|---|---|---|---|---|
`

func TestDifferencesTable(t *testing.T) {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(differencesHead, "~", "`"))
	for _, d := range differences {
		cells := []string{strings.TrimPrefix(d.scenario, "Test"), strings.Join(d.versions, ", "), strings.Join(d.pages, "; "),
			d.theirs, d.ours, d.why}
		for i := range cells {
			cells[i] = strings.ReplaceAll(cmp.Or(cells[i], "all"), "|", "\\|")
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	if *updateFlag {
		if err := os.WriteFile(differencesFile, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(differencesFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(b.String(), string(got)); d != "" {
		t.Errorf("%s is not what the table says (-want +got); -update writes it\n%s", differencesFile, d)
	}
}

// compare compares what mosquitto and the model said.
func (l *library) compare(t *testing.T) {
	for key, theirs := range l.books {
		version := key[1]
		ours := l.books[[2]string{model, version}]
		if key[0] != mosquitto || ours == nil || theirs.free && ours.free {
			continue
		}
		if len(theirs.pages) == 0 && len(ours.pages) == 0 && version == "all" {
			continue // those of each version are
		}
		t.Run("transcripts/"+version, func(t *testing.T) {
			theirs, ours := theirs.text(), ours.text()
			if dir := *transcriptsFlag; dir != "" {
				scenario, _, _ := strings.Cut(t.Name(), "/transcripts/")
				for kind, text := range map[string]string{mosquitto: theirs, model: ours} {
					name := strings.ReplaceAll(strings.Join([]string{scenario, version, kind, "txt"}, "."), "/", ".")
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, d := range explain(t, version, &theirs) {
				t.Errorf("mosquitto no longer %s", d)
			}
			if ours == "" {
				t.Error("the transcript is empty")
			}
			if d := gocmp.Diff(strings.Split(theirs, "\n"), strings.Split(ours, "\n")); d != "" {
				t.Errorf("transcripts (-mosquitto, with the differences that are expected, +model)\n%s", d)
			}
		})
	}
}

// explain rewrites a transcript of mosquitto's with the differences that are
// expected, and returns those of them that do not occur.
func explain(t *testing.T, version string, text *string) (missing []string) {
	scenario, _, _ := strings.Cut(t.Name(), "/transcripts/")
	for i, d := range differences {
		if strings.ReplaceAll(d.scenario, " ", "_") != scenario || d.versions != nil && !slices.Contains(d.versions, version) {
			continue
		}
		examined.Store(i, true)
		pattern := regexp.MustCompile("(?m)" + d.from)
		seen := map[string]bool{} // titles of pages on which it occurs
		pages := splitPages(*text)
		for n, page := range pages {
			title, _, _ := strings.Cut(page, "\n")
			if d.pages != nil && !slices.Contains(d.pages, title) {
				continue
			}
			if pages[n] = pattern.ReplaceAllString(page, d.to); pages[n] != page {
				seen[title] = true
			}
		}
		if d.pages == nil && len(seen) == 0 {
			missing = append(missing, d.theirs)
		}
		for _, title := range d.pages {
			if !seen[title] {
				missing = append(missing, title+": "+d.theirs)
			}
		}
		*text = strings.Join(pages, "")
	}
	return missing
}

// splitPages cuts a transcript before each title.
func splitPages(text string) (pages []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "\t") {
			pages = append(pages, "")
		}
		pages[len(pages)-1] += line
	}
	return pages
}
