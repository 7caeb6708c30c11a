// This file is the command line: flags, what is to be done, and exit status.

package main

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"mqttcore"
	"mqttcore/sim"
)

// The exit statuses.
const (
	statusClean     = 0
	statusViolation = 1
	statusUsage     = 2
)

func main() {
	// Worlds are small and short-lived: a larger heap saves most of the collector's
	// work, and is still small.
	debug.SetGCPercent(800)
	os.Exit(command(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	settings
	seed  uint64
	runs  int
	time  time.Duration
	shard shard
	tape  []byte
	cores int

	one, taped bool // one run; of a tape
	jsonl, sum bool
	trace      bool
	svg        string
	client     string

	exploring bool
	scope     sim.Scope
}

// shard is a share of a campaign: of n, the one with number i.
type shard struct{ i, n uint64 }

func (s *shard) set(text string) error {
	if n, err := fmt.Sscanf(text, "%d/%d", &s.i, &s.n); n != 2 || err != nil || s.i >= s.n || text != s.String() {
		return errors.New("is not i/n with i from 0 to n-1")
	}
	return nil
}

// String is the shard as it is given.
func (s *shard) String() string { return fmt.Sprintf("%d/%d", s.i, s.n) }

var errUsage = errors.New("usage")

// parse reads the command line; what is wrong with it has been told.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{shard: shard{0, 1}, cores: runtime.GOMAXPROCS(0)}
	flags := flag.NewFlagSet("mqttsim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: mqttsim [flags]\n"+
			"Runs MQTT clients and a broker in simulated worlds, and looks for promises that are broken.\n")
		flags.PrintDefaults()
	}
	version := 0
	flags.Uint64Var(&o.seed, "seed", 1, "do the one run of this `seed`; with -runs, -time or -shard it is the first of a campaign")
	flags.IntVar(&o.runs, "runs", 0, "how many `runs` the campaign has; 0: as many as -time lets")
	flags.DurationVar(&o.time, "time", 30*time.Second, "how long the campaign lasts, without -runs")
	flags.IntVar(&o.Clients, "clients", 4, "most `clients` in a world")
	flags.IntVar(&o.Steps, "steps", 2000, "`steps` of a world before its faults stop")
	flags.IntVar(&version, "version", 0, "protocol `version` of all clients: 3, 4 or 5; 0: any")
	flags.Func("faults", "`all`, none, or a list of "+faultList()+" (default all)", o.faults.set)
	flags.Func("shard", "do only share `i/n` of the seeds, i from 0", o.shard.set)
	flags.BoolVar(&o.jsonl, "jsonl", false, "print a line of JSON for each run, and nothing else")
	flags.BoolVar(&o.sum, "sum", false, "read lines that -jsonl printed, and add them up")
	flags.BoolVar(&o.trace, "trace", false, "draw the run of -seed or -tape as a ladder")
	flags.StringVar(&o.svg, "svg", "", "draw the run of -seed or -tape into a `file`")
	flags.StringVar(&o.client, "client", "", "whose `name` the ladder is (default: that of the violation, or c0)")
	flags.Func("tape", "do the run of a tape, in `hex`", func(s string) (err error) {
		o.tape, err = hex.DecodeString(s)
		return err
	})
	o.exploreFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	o.taped = set["tape"]
	o.one = o.taped || set["seed"] && !set["runs"] && !set["time"] && !set["shard"]
	o.Version = mqttcore.Version(version)
	scope := o.scope
	scope.Version = mqttcore.V5
	scopeErr := scope.Check()
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{flags.NArg() > 0, fmt.Sprintf("unexpected argument %q", flags.Arg(0))},
		{version != 0 && (version < 3 || version > 5), "-version is not 0, 3, 4 or 5"},
		{o.Clients < 1 || o.Clients > 1000, "-clients is not from 1 to 1000"},
		{o.Steps < 1, "-steps is less than 1"},
		{o.runs < 0 || set["runs"] && o.runs == 0, "-runs is less than 1"},
		{o.time <= 0, "-time is not more than 0"},
		{set["runs"] && set["time"], "-runs and -time are two ways to say the same"},
		{o.taped && (set["seed"] || set["runs"] || set["time"] || set["shard"]),
			"-tape is a run by itself: without -seed, -runs, -time and -shard"},
		{!o.one && !o.exploring && (o.trace || o.svg != "" || o.client != ""), "-trace, -svg and -client want one run: -seed alone, or -tape"},
		{o.jsonl && (o.trace || o.svg != ""), "-jsonl prints lines, and no ladder"},
		{o.sum && flags.NFlag() > 1, "-sum goes with no other flag"},
		{o.exploring && anyOf(set, "seed", "runs", "time", "clients", "steps", "faults", "shard", "jsonl", "trace", "client", "tape"),
			"-explore goes with -version, -svg and its own flags only"},
		{!o.exploring && anyOf(set, exploreOnly...), "-" + strings.Join(exploreOnly, ", -") + " want -explore"},
		{o.scope.MaxStates < 0, "-states is less than 0"},
		{scopeErr != nil, fmt.Sprint(scopeErr)},
	} {
		if rule.broken {
			fmt.Fprintln(stderr, "mqttsim:", rule.text)
			return nil, errUsage
		}
	}
	return o, nil
}

func anyOf(set map[string]bool, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return set[n] })
}

// command is the command; it returns the exit status.
func command(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return statusClean
	case err != nil:
		return statusUsage
	}
	clean := false
	switch {
	case o.sum:
		clean, err = addUp(stdin, stdout)
	case o.exploring:
		clean, err = o.explore(stdout, stderr)
	case o.one:
		clean, err = o.single(stdout)
	default:
		c := campaign{options: o, stdout: stdout, stderr: stderr}
		clean, err = c.run()
	}
	if err != nil {
		fmt.Fprintln(stderr, "mqttsim:", err)
		return statusViolation
	}
	if !clean {
		return statusViolation
	}
	return statusClean
}

// source is the entropy of the one run.
func (o *options) source() sim.Source {
	if o.taped {
		return sim.Tape(o.tape)
	}
	return sim.Seed(o.seed)
}

// name is what the one run is called.
func (o *options) name() string {
	if o.taped {
		return fmt.Sprintf("tape of %d bytes", len(o.tape))
	}
	return fmt.Sprintf("seed %d", o.seed)
}

// single does one run, and tells all about it.
func (o *options) single(stdout io.Writer) (clean bool, err error) {
	var lads ladders
	rec := &sim.Recorder{Source: o.source()}
	k := o.draw(rec)
	if !o.jsonl {
		fmt.Fprintf(stdout, "%s%s\nknobs: %v\n", o.name(), o.flags(), k)
	}
	began := time.Now()
	report := run(rec, k, lads.watch)
	line := o.line(o.seed, report)
	if o.jsonl {
		return line.Error == "", line.write(stdout)
	}
	if o.trace || o.svg != "" {
		ladder := lads.ladder(o.whose(report.Err), 0)
		ladder.Title = o.name() + o.flags()
		if o.trace {
			fmt.Fprintf(stdout, "\n%v", ladder)
		}
		if o.svg != "" {
			if err := drawSVG(o.svg, ladder); err != nil {
				return false, err
			}
		}
	}
	if report.Err != nil {
		v := violation{settings: &o.settings, name: o.name(), knobs: k, report: report, tape: rec.Taken}
		if !o.taped {
			v.minimise()
		}
		return false, v.print(stdout, !o.trace)
	}
	var t totals
	t.add(line)
	t.elapsed, t.cores = time.Since(began), 1
	fmt.Fprintf(stdout, "\n%v\nhash %s\nclean\n", &t, line.Hash)
	return true, nil
}

// whose is the client whose ladder is drawn.
func (o *options) whose(err error) string {
	if o.client != "" {
		return o.client
	}
	return offender(err)
}

// drawSVG writes a ladder to a file.
func drawSVG(name string, l interface{ WriteSVG(io.Writer) error }) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(l.WriteSVG(f), f.Close())
}
