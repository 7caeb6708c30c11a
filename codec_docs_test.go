// This file writes docs/errors.md and docs/conformance.md and checks that they
// are up to date.

package mqttcore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cell is a cell of a table.
func cell(s string) string {
	if s == "" {
		return "—"
	}
	return strings.ReplaceAll(s, "|", `\|`)
}

const errorsHead = `# Errors

Written by ` + "`go test -run ErrorsTable -update .`" + ` from the tables of the code; a test
keeps it up to date.

A packet that breaks the protocol gives an ` + "`*mqttcore.Error`" + `: the reason code to
answer with, the packet, the statement that was broken and the byte at which it
was broken. What the caller wants to encode is refused by the same statements;
it has no bytes yet. Where a packet breaks several statements, any one of them
is reported.

A statement is given for each version that has it: by its number, by its section
where it has no number, or as — where the version has no such rule. §A of 3.1 is
its appendix on topic wildcards; the MQTT31 numbers are those of
[conformance.md](conformance.md). Code is the reason code; what 3.x has no codes
for is there for the log.

| what is wrong | 3.1 | 3.1.1 | 5.0 | code |
|---|---|---|---|---|
`

const errorsProperties = `
## Properties of 5.0

A value that a property cannot have, and a property that is present more than
once, are reported as 0x82 Protocol Error with the section on the property in
that packet; Topic Alias 0 as 0x94 (MQTT-3.3.2-8). User Property may be
repeated, and so may Subscription Identifier in the PUBLISH of a server.

| identifier | property | sections | value | may be in |
|---|---|---|---|---|
`

var kindNames = map[propertyKind]string{
	kindBool:    "0 or 1",
	kindUint16:  "0 to 65,535",
	kindUint16N: "1 to 65,535",
	kindUint32:  "0 to 4,294,967,295",
	kindUint32N: "1 to 4,294,967,295",
	kindVarintN: "1 to 268,435,455",
	kindString:  "string",
	kindTopic:   "topic name",
	kindBinary:  "binary data",
	kindPair:    "pair of strings",
}

// TestErrorsTable owns docs/errors.md.
func TestErrorsTable(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(errorsHead)
	for r := ruleNone + 1; r < ruleCount; r++ {
		row := &ruleTable[r]
		if row.text == "" || row.code == 0 {
			t.Errorf("rule %d has no text or no code", r)
		}
		if r.row() != r {
			t.Errorf("rule %d (%s) is a row of the properties", r, row.text)
		}
		if r == rowPropertyValue || r == rowPropertyDuplicate {
			continue
		}
		if row.v31+row.v311+row.v5 == "" {
			t.Errorf("rule %d (%s) has no statement", r, row.text)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | 0x%02X %v |\n", cell(row.text), cell(row.v31), cell(row.v311), cell(row.v5), uint8(row.code), row.code)
	}
	b.WriteString(errorsProperties)
	for id, row := range propertyTable {
		if row.name == "" {
			continue
		}
		var in []string
		for pt := TypeConnect; pt <= TypeAuth; pt++ {
			client, server := PropertyID(id).AllowedIn(pt, FromClient), PropertyID(id).AllowedIn(pt, FromServer)
			switch both := pt == TypePublish || pt == TypeDisconnect; {
			case both && client && !server:
				in = append(in, "a client's "+pt.String())
			case both && server && !client:
				in = append(in, "a server's "+pt.String())
			case client || server:
				in = append(in, pt.String())
			}
		}
		if PropertyID(id).AllowedInWill() {
			in = append(in, "will")
		}
		fmt.Fprintf(&b, "| 0x%02X | %s | %s | %s | %s |\n", id, row.name, row.section, kindNames[row.kind], strings.Join(in, ", "))
	}
	fmt.Fprintf(&b, `
## Misuse

A call that cannot be done gives a `+"`mqttcore.Misuse`"+`, a constant to compare with;
nothing has changed then.

| constant | text |
|---|---|
`)
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(Err\w+) +Misuse = "(.*)"$`).FindAllSubmatch(source, -1) {
		fmt.Fprintf(&b, "| %s | %s |\n", m[1], m[2])
	}
	golden(t, "docs/errors.md", b.Bytes())
}

const conformanceHead = `# Conformance

Written by ` + "`go test -run ConformanceTable -update .`" + ` from testdata/conformance.tsv
and from what the tests, vectors and scripts say that they show; a test keeps it
up to date.

Each numbered statement of MQTT 3.1.1 and 5.0, and the differences of 3.1, which
numbers none of its statements (MQTT31 numbers are of this project), in few words
of this project's own. A file is listed when it names the statement: a vector
with the number in its comment or in the error that it expects, a test or script
with the number in its text. — is shown by nothing yet; n/a binds a server's
application or the network, which are not part of a client library.

`

// statement is a row of testdata/conformance.tsv.
type statement struct {
	version, id, role, layer, packet, text string
}

// readStatements reads testdata/conformance.tsv.
func readStatements(t *testing.T) []statement {
	t.Helper()
	b, err := os.ReadFile("testdata/conformance.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var all []statement
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if f := strings.Split(line, "\t"); len(f) != 6 {
			t.Fatalf("testdata/conformance.tsv:%d: %d columns", i+1, len(f))
		} else if i > 0 {
			all = append(all, statement{f[0], f[1], f[2], f[3], f[4], f[5]})
		}
	}
	return all
}

// A statement is named with its version before it: 3.1.1 MQTT-x.y.z-n, or
// 5.0:MQTT-x.y.z-n. In a vector one without is of the versions in its first
// column. Elsewhere a version holds for the rest of its line, and without one it
// is 5.0; in scripts only comments count.
var statementPattern = regexp.MustCompile(
	`(?:^|[\s"(,;])(3\.1\.1|5\.0|3\.1)(?:[\s:",)]|$)|\b(MQTT31-\d\d|MQTT-\d+\.\d+\.\d+-\d+)\b`)

// statementsNamed adds to shown the file for each statement that it names, by
// version and number.
func statementsNamed(t *testing.T, file string, shown map[[2]string][]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	vectors := filepath.Dir(file) == filepath.Join("testdata", "packets")
	script := !vectors && filepath.Ext(file) == ".txt"
	for _, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, "#") != script && !strings.HasSuffix(file, ".go") {
			continue
		}
		versions := []string{"5.0"}
		if first, _, _ := strings.Cut(line, " "); vectors {
			versions = nil
			for _, v := range vectorVersions[first] {
				if v != V31 { // which has no such numbers
					versions = append(versions, map[Version]string{V311: "3.1.1", V5: "5.0"}[v])
				}
			}
		}
		version, end := "", 0 // the version named last, and where that ends
		for _, m := range statementPattern.FindAllStringSubmatchIndex(line, -1) {
			if m[2] >= 0 {
				version, end = line[m[2]:m[3]], m[1]
				continue
			}
			of, id := versions, line[m[4]:m[5]]
			switch {
			case strings.HasPrefix(id, "MQTT31-"):
				of = []string{"3.1"}
			case version != "" && (!vectors || end == m[4]):
				of = []string{version}
			}
			for _, v := range of {
				if k := [2]string{v, id}; !slices.Contains(shown[k], file) {
					shown[k] = append(shown[k], file)
				}
			}
		}
	}
}

// TestConformanceTable owns docs/conformance.md. Every statement about the
// codec that is not a server's own must be shown by something.
func TestConformanceTable(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*_test.go", "*/*_test.go", "examples/*/*_test.go", "testdata/*/*.txt"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	shown := map[[2]string][]string{}
	for _, file := range files {
		// What interop names is mostly what brokers break.
		if file != "codec_docs_test.go" && filepath.Dir(file) != "interop" {
			statementsNamed(t, file, shown)
		}
	}
	all := readStatements(t)
	known := map[[2]string]bool{}
	for _, s := range all {
		known[[2]string{s.version, s.id}] = true
	}
	for k, files := range shown {
		// The codec's statements are checked strictly: a vector that names one
		// that does not exist names the wrong one.
		if !known[k] && strings.HasPrefix(files[0], "testdata") {
			t.Errorf("%s names %s %s, which does not exist", files[0], k[0], k[1])
		}
	}
	var b bytes.Buffer
	b.WriteString(conformanceHead)
	var table bytes.Buffer
	count := map[string]int{}
	for i, s := range all {
		if i == 0 || all[i-1].version != s.version {
			fmt.Fprintf(&table, "\n## MQTT %s\n\n| statement | binds | packet | in short | shown by |\n|---|---|---|---|---|\n", s.version)
		}
		by := shown[[2]string{s.version, s.id}]
		what := strings.Join(by, ", ")
		switch {
		case len(by) > 0:
			count["shown"]++
		case s.layer == "app" || s.role == "server" && s.layer != "codec":
			what = "n/a"
			count["n/a"]++
		default:
			what = "—"
			count["open"]++
			if s.layer == "codec" {
				t.Errorf("nothing shows %s %s: %s", s.version, s.id, s.text)
			}
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", s.id, s.role, s.packet, cell(s.text), what)
	}
	fmt.Fprintf(&b, "%d statements: %d shown, %d not yet, %d not applicable.\n", len(all), count["shown"], count["open"], count["n/a"])
	b.Write(table.Bytes())
	golden(t, "docs/conformance.md", b.Bytes())
}
