// Demo starts mochi-mqtt in this process on a free loopback port, and holds
// the conversation of examples/quickstart with it over TCP:
//
//	go run -C interop ./demo
//
// Arguments after ./demo go to the quickstart (-v 4 for 3.1.1, say). The exit
// status is that of the quickstart. It must be run inside this module, by
// which it finds the quickstart's source.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"mqttcore/interop/brokers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode()) // it has said why
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run holds the conversation, and ends the broker after it.
func run(ctx context.Context, args []string) error {
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "quickstart.exe") // a name that every system runs
	if err := build(ctx, bin); err != nil {
		return err
	}
	b, err := brokers.Mochi(brokers.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Println("mochi-mqtt runs in this process and listens at", b.Addr)
	return command(ctx, "", bin, append([]string{"-broker", b.Addr}, args...)...).Run()
}

// build makes the program of examples/quickstart.
func build(ctx context.Context, bin string) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "mqttcore")
	list.Stderr = os.Stderr
	root, err := list.Output()
	if err != nil {
		return fmt.Errorf("cannot find the module mqttcore: %w", err)
	}
	return command(ctx, strings.TrimSpace(string(root)), "go", "build", "-o", bin, "./examples/quickstart").Run()
}

// command is a program whose output is this one's.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Stdout, c.Stderr = dir, os.Stdout, os.Stderr
	return c
}
