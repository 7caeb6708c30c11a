// This file is the command line: flags, input and exit status.

package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"mqttcore"
)

// The exit statuses.
const (
	statusClean   = 0
	statusProblem = 1
	statusUsage   = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the command; it returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mqttdump", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: mqttdump [flags] [hex ...]\n"+
			"Lists the MQTT packets in the hexadecimal arguments, or in standard input (hexadecimal or raw).\n")
		flags.PrintDefaults()
	}
	version := flags.Int("version", 0, "protocol `version`: 3, 4 or 5 (default: that of the CONNECT in the input, else 5)")
	from := flags.String("from", "either", "who sent the packets: client, server or either")
	jsonl := flags.Bool("jsonl", false, "batch mode: JSON lines in, JSON lines out")
	raw := flags.Bool("raw", false, "standard input is raw bytes, even if it looks like hexadecimal")
	full := flags.Bool("full", false, "do not cut long fields")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return statusClean
		}
		return statusUsage
	}
	fail := func(status int, err error) int {
		fmt.Fprintln(stderr, "mqttdump:", err)
		return status
	}

	if *jsonl {
		if flags.NFlag() > 1 || flags.NArg() > 0 {
			return fail(statusUsage, errors.New("-jsonl takes no other flag and no argument: each line says it all"))
		}
		if err := batch(stdin, stdout); err != nil {
			return fail(statusProblem, err)
		}
		return statusClean
	}

	role, err := parseRole(*from)
	if err != nil {
		return fail(statusUsage, err)
	}
	given := false
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == "version" })
	if given && (*version < 3 || *version > 5) {
		return fail(statusUsage, fmt.Errorf("-version %d is not 3, 4 or 5", *version))
	}
	var b []byte
	if flags.NArg() > 0 {
		if *raw {
			return fail(statusUsage, errors.New("-raw is for standard input; arguments are hexadecimal"))
		}
		for _, arg := range flags.Args() {
			b = append(append(b, arg...), ' ')
		}
		b, err = parseHex(b)
	} else {
		if b, err = io.ReadAll(stdin); err != nil {
			return fail(statusProblem, err)
		}
		if !*raw && isHex(b) {
			b, err = parseHex(b)
		}
	}
	if err != nil {
		return fail(statusUsage, err)
	}

	w := bufio.NewWriter(stdout)
	l := lister{w: w, version: mqttcore.Version(*version), from: role, full: *full}
	clean := l.list(b)
	if err := w.Flush(); err != nil {
		return fail(statusProblem, err)
	}
	if !clean {
		return statusProblem
	}
	return statusClean
}

func parseRole(s string) (mqttcore.Role, error) {
	for _, r := range [...]mqttcore.Role{mqttcore.FromClient, mqttcore.FromServer, mqttcore.FromEither} {
		if s == r.String() {
			return r, nil
		}
	}
	return 0, fmt.Errorf("from %q is not client, server or either", s)
}

const blanks = " \t\r\n"

func isBlank(c byte) bool { return bytes.IndexByte([]byte(blanks), c) >= 0 }

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// isHex reports whether b has nothing but hexadecimal digits and blanks.
func isHex(b []byte) bool {
	for _, c := range b {
		if !isHexDigit(c) && !isBlank(c) {
			return false
		}
	}
	return true
}

// parseHex decodes b in place. Blanks do not count, wherever they are.
func parseHex(b []byte) ([]byte, error) {
	digits := b[:0]
	for i, c := range b {
		if isBlank(c) {
			continue
		}
		if !isHexDigit(c) {
			_, n := utf8.DecodeRune(b[i:])
			return nil, fmt.Errorf("hexadecimal: %q is not a digit (digit %d)", b[i:i+n], len(digits)+1)
		}
		digits = append(digits, c)
	}
	if len(digits)%2 != 0 {
		return nil, fmt.Errorf("hexadecimal: %d digits, half of a byte is missing", len(digits))
	}
	n, err := hex.Decode(digits, digits)
	return digits[:n], err
}
