// This file lets a test print to people though it passes.

package mqttcore

import (
	"fmt"
	"os"
	"testing"
)

// show prints a line. Without -v the go command keeps what a passing test
// prints to itself when it is given packages by name; the line then goes to the
// go command's own output or error output, where the system has a path to it.
func show(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !testing.Verbose() && showAbove(line) {
		return
	}
	fmt.Print(line)
}

// showAbove writes to what the parent process has as its output. Of a file only
// the error output is taken, and only when the parent's output is another one:
// two writers would overwrite each other's lines.
func showAbove(line string) bool {
	parent := fmt.Sprintf("/proc/%d/fd/", os.Getppid())
	out, err := os.Stat(parent + "1")
	if err != nil {
		return false
	}
	fd, stream := "1", os.ModeNamedPipe|os.ModeCharDevice
	if out.Mode()&stream == 0 {
		fd = "2"
		if e, err := os.Stat(parent + fd); err != nil || e.Mode()&stream == 0 && os.SameFile(out, e) {
			return false
		}
	}
	f, err := os.OpenFile(parent+fd, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.WriteString(line)
	return err == nil
}
