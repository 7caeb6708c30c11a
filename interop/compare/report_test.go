// This file makes docs/compare.md of the measurements in testdata. The drawing
// beside it is made in plot_test.go.

package compare

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mqttcore"
)

var update = flag.Bool("update", false, "write docs/compare.md and docs/compare.svg instead of comparing them")

const (
	measured = "testdata/benchmarks.txt"
	document = "../../docs/compare.md"
	drawing  = "../../docs/compare.svg"
)

// A series is what one benchmark gave in all of the runs.
type series struct {
	ns            []float64 // sorted
	bytes, allocs int       // the most for one operation
}

func (s *series) fastest() float64 { return s.ns[0] }

func (s *series) median() float64 {
	n := len(s.ns)
	return (s.ns[(n-1)/2] + s.ns[n/2]) / 2
}

// results are all series, by direction, row and library, and what the runs say
// of themselves: key and value.
type results struct {
	series map[[3]string]*series
	said   map[string][]string
	runs   int
}

var directions = []string{"Decode", "Encode"}

// parseResults reads the output of go test -bench, several runs after one
// another, which have to be of the same machine and the same versions.
func parseResults(data []byte) (results, error) {
	r := results{series: map[[3]string]*series{}, said: map[string][]string{}}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		name, isBench := strings.CutPrefix(strings.Join(fields[:min(1, len(fields))], ""), "Benchmark")
		if !isBench {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !slices.Contains(r.said[key], value) {
				r.said[key] = append(r.said[key], value)
			}
			continue
		}
		parts := strings.Split(name, "/")
		if len(parts) != 3 || len(fields) != 8 || fields[3] != "ns/op" || fields[5] != "B/op" || fields[7] != "allocs/op" {
			return r, fmt.Errorf("cannot read %q", line)
		}
		s := r.series[[3]string(parts)]
		if s == nil {
			s = new(series)
			r.series[[3]string(parts)] = s
		}
		ns, err1 := strconv.ParseFloat(fields[2], 64)
		size, err2 := strconv.Atoi(fields[4])
		allocs, err3 := strconv.Atoi(fields[6])
		if err1 != nil || err2 != nil || err3 != nil {
			return r, fmt.Errorf("cannot read %q", line)
		}
		s.ns, s.bytes, s.allocs = append(s.ns, ns), max(s.bytes, size), max(s.allocs, allocs)
	}
	for key, s := range r.series {
		slices.Sort(s.ns)
		if r.runs == 0 {
			r.runs = len(s.ns)
		}
		if len(s.ns) != r.runs {
			return r, fmt.Errorf("%v was run %d times, others %d", key, len(s.ns), r.runs)
		}
	}
	for _, key := range []string{"go", "goos", "goarch", "cpu"} {
		if len(r.said[key]) != 1 {
			return r, fmt.Errorf("%s: %q, want one", key, r.said[key])
		}
	}
	return r, nil
}

func (r results) of(direction, row, library string) *series {
	return r.series[[3]string{direction, row, library}]
}

// required is the version of each module that go.mod requires.
func required() (map[string]string, error) {
	data, err := os.ReadFile("../go.mod")
	versions := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 2 {
			versions[f[0]] = f[1]
		}
	}
	return versions, err
}

// number writes nanoseconds with three digits, in the unit that suits.
func number(ns float64) string {
	unit := ""
	if ns >= 10_000 {
		ns, unit = ns/1000, " µs"
	}
	if ns >= 1000 {
		return fmt.Sprintf("%.0f%s", ns, unit)
	}
	digits := max(0, 2-int(math.Floor(math.Log10(ns))))
	return fmt.Sprintf("%.*f%s", min(digits, 1), ns, unit)
}

func ratio(a, b float64) string {
	if a/b < 10 {
		return fmt.Sprintf("%.1f×", a/b)
	}
	return fmt.Sprintf("%.0f×", a/b)
}

const introduction = `# Compared with other libraries

Made by %[1]s from the measurements in interop/compare/%[2]s; the head of interop/compare/doc.go says how to repeat them. All libraries were measured in the same runs, one after the other for each packet: %[3]d runs of each benchmark, on one core of %[4]s (%[5]s/%[6]s, %[7]s). The machine had other work at times: medians tell what was seen, the fastest runs what the code costs.

Only codecs are compared: no library's client, broker or network. Each is called as its own users call it, with all that it lets them reuse, on the same bytes; every library was checked before to read and write these packets rightly. Encoding is of a packet that the library decoded itself, into a buffer that is used again. Libraries whose codec cannot be imported by others are not here.

![Time for one packet, by library](compare.svg)

`

// report is docs/compare.md.
func (r results) report() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, introduction, "a test", measured, r.runs, r.said["cpu"][0], r.said["goos"][0], r.said["goarch"][0], r.said["go"][0])
	b.WriteString("| library | version | how it goes about it |\n|---|---|---|\n")
	for _, l := range libraries {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.name, r.version(l), l.manner)
	}
	b.WriteString("\n| packet | what |\n|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", row.name, row.what)
	}
	for _, direction := range directions {
		fmt.Fprintf(&b, "\n## %s\n\n", direction)
		b.WriteString("Median / fastest in nanoseconds, where no unit stands · the median as a multiple of mqttcore's · allocations.\n\n")
		r.table(&b, direction)
	}
	b.WriteString("\n## What they refuse\n\n" +
		"Checking takes time, and what one library does not check another has to. Of these packets none is legal:\n\n")
	faultTable(&b)
	b.WriteString("\n## Where they read otherwise\n\n" +
		"`FuzzDifferential` compares what mochi and paho.golang make of packets that the core takes. They were found to agree but for this; what the core refuses and others take is not compared. " +
		"Neither library tells an empty string in a property from none, nor mochi some numbers of 0.\n\n" +
		"| library | versions | what it does | right is | by |\n|---|---|---|---|---|\n")
	for _, d := range disagreements {
		var versions []string
		for _, v := range d.versions {
			versions = append(versions, map[mqttcore.Version]string{mqttcore.V31: "3.1", mqttcore.V311: "3.1.1", mqttcore.V5: "5.0"}[v])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", d.library, strings.Join(versions, ", "), d.what, d.right, d.statement)
	}
	return b.Bytes()
}

// faultTable says which library refuses what.
func faultTable(b *bytes.Buffer) {
	columns := slices.DeleteFunc(slices.Clone(libraries), func(l library) bool { return l.decode == nil })
	b.WriteString("| packet | broken |")
	for _, l := range columns {
		fmt.Fprintf(b, " %s |", l.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, f := range faults {
		fmt.Fprintf(b, "| %s | %s |", f.what, f.statement)
		for _, l := range columns {
			fmt.Fprintf(b, " %s |", f.verdict(l))
		}
		b.WriteString("\n")
	}
}

func (r results) version(l library) string {
	for _, said := range r.said["module"] {
		if path, version, _ := strings.Cut(said, " "); path == l.module {
			return "`" + path + "` " + version
		}
	}
	return "this one"
}

func (r results) table(b *bytes.Buffer, direction string) {
	columns := slices.DeleteFunc(slices.Clone(libraries), func(l library) bool {
		return !slices.ContainsFunc(rows, func(row row) bool { return r.of(direction, row.name, l.name) != nil })
	})
	b.WriteString("| packet |")
	for _, l := range columns {
		fmt.Fprintf(b, " %s |", l.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, row := range rows {
		ours := r.of(direction, row.name, core)
		if ours == nil {
			continue
		}
		fmt.Fprintf(b, "| %s |", row.name)
		for _, l := range columns {
			s := r.of(direction, row.name, l.name)
			switch {
			case s == nil:
				b.WriteString(" |")
			case l.name == core:
				fmt.Fprintf(b, " %s / %s · %d |", number(s.median()), number(s.fastest()), s.allocs)
			default:
				fmt.Fprintf(b, " %s / %s · %s · %d |", number(s.median()), number(s.fastest()), ratio(s.median(), ours.median()), s.allocs)
			}
		}
		b.WriteString("\n")
	}
}

// TestReport: table and drawing are what the measurements give, and these are
// of all that is compared, in the versions that go.mod requires.
func TestReport(t *testing.T) {
	data, err := os.ReadFile(measured)
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseResults(data)
	if err != nil {
		t.Fatal(err)
	}
	versions, err := required()
	if err != nil {
		t.Fatal(err)
	}
	if r.runs < 10 {
		t.Errorf("%d runs, want 10 at least", r.runs)
	}
	for _, l := range libraries {
		if said := l.module + " " + versions[l.module]; l.module != "" && !slices.Contains(r.said["module"], said) {
			t.Errorf("measured were %q, go.mod asks for %s", r.said["module"], said)
		}
	}
	var missing []string
	for _, direction := range directions {
		for b := range timings(direction) {
			if r.of(direction, b.row, b.library) == nil {
				missing = append(missing, direction+"/"+b.row+"/"+b.library)
			}
		}
	}
	if len(missing) > 0 {
		t.Fatalf("not measured: %q", missing)
	}
	for file, got := range map[string][]byte{document: r.report(), drawing: r.plot()} {
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("%s is not what %s gives: run go test -run Report -update .", file, measured)
		}
	}
}

func TestParseResults(t *testing.T) {
	const head = "go: go1\ngoos: o\ngoarch: a\ncpu: c\n"
	const line = "BenchmarkDecode/p/l 10 %s ns/op 3 B/op 1 allocs/op\n"
	odd, even := fmt.Sprintf(line, "5")+fmt.Sprintf(line, "1")+fmt.Sprintf(line, "30"), ""
	even = odd + fmt.Sprintf(line, "7")
	for _, c := range []struct {
		name, data      string
		median, fastest float64
		fails           bool
	}{
		{"odd", head + odd, 5, 1, false},
		{"even", head + even, 6, 1, false},
		{"two runs", head + odd + head + fmt.Sprintf(line, "7"), 6, 1, false},
		{"two machines", head + odd + "cpu: d\n" + odd, 0, 0, true},
		{"no head", odd, 0, 0, true},
		{"cut off", head + odd + "BenchmarkDecode/p/l 10 5 ns/op\n", 0, 0, true},
		{"a benchmark lacks a run", head + odd + strings.Replace(odd, "/l ", "/m ", 1), 0, 0, true},
		{"no number", head + fmt.Sprintf(line, "x"), 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseResults([]byte(c.data))
			if c.fails {
				if err == nil {
					t.Error("taken")
				}
				return
			}
			s := r.of("Decode", "p", "l")
			if err != nil || s == nil || s.median() != c.median || s.fastest() != c.fastest || s.bytes != 3 || s.allocs != 1 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}
