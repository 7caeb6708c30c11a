// This file starts Eclipse mosquitto as a process of its own.

package brokers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

// supervise runs mosquitto and ends it when its standard input does, so that
// it does not outlive this process, however that ends.
const supervise = `"$0" -c "$1" & pid=$!; read -r _; kill -9 $pid; wait $pid`

// Mosquitto starts mosquitto, which has to be installed: [ErrNotInstalled]
// otherwise. It speaks 3.1, 3.1.1 and 5.0. Its log is verbose.
func Mosquitto(o Options) (*Broker, error) {
	if o.MinVersion > 3 {
		return nil, errOption("MinVersion")
	}
	bin, err := find("mosquitto")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mosquitto")
	if err != nil {
		return nil, err
	}
	// Somebody else may take the free port before mosquitto does.
	for range 3 {
		var b *Broker
		if b, err = startMosquitto(bin, dir, o); err == nil {
			return b, nil
		}
	}
	os.RemoveAll(dir)
	return nil, fmt.Errorf("mosquitto: %w", err)
}

// find looks where Debian puts servers, too.
func find(name string) (string, error) {
	for _, f := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if bin, err := exec.LookPath(f); err == nil {
			return bin, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNotInstalled)
}

func startMosquitto(bin, dir string, o Options) (*Broker, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	conf, err := mosquittoConfig(dir, addr, o)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	b := &Broker{Addr: addr}
	cmd := exec.Command("sh", "-c", supervise, bin, path)
	cmd.Stdout, cmd.Stderr = &b.log, &b.log
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.close = func() error {
		leash.Close()
		var exit *exec.ExitError // its end by a signal is what was asked for
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			return err
		}
		return os.RemoveAll(dir)
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !strings.Contains(b.Log(), " running") {
			continue
		}
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return b, nil
		}
	}
	leash.Close()
	cmd.Wait()
	return nil, fmt.Errorf("does not listen at %s; it logged:\n%s", addr, b.Log())
}

// freePort is a loopback address that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// mosquittoConfig is the text of a configuration file. It keeps nothing on
// disk but the password file, in dir.
func mosquittoConfig(dir, addr string, o Options) (string, error) {
	var c strings.Builder
	set := func(name string, value any) { fmt.Fprintln(&c, name, value) }
	if u, err := user.Current(); err == nil && u.Uid == "0" {
		set("user", u.Username) // root otherwise becomes a user who cannot read dir
	}
	set("persistence", false)
	set("sys_interval", 0)
	set("log_dest", "stderr")
	set("log_type", "all")
	set("set_tcp_nodelay", true)
	set("max_queued_messages", 0)
	if o.MaxPacketSize != 0 {
		set("max_packet_size", o.MaxPacketSize)
	}
	if o.MaxKeepAlive != 0 {
		set("max_keepalive", o.MaxKeepAlive) // at least 10
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	set("listener", port+" "+host)
	set("allow_zero_length_clientid", !o.RefuseEmptyID)
	set("allow_anonymous", o.Users == nil)
	if o.Users == nil {
		return c.String(), nil
	}
	path := filepath.Join(dir, "passwords")
	set("password_file", path)
	return c.String(), writePasswords(path, o.Users)
}

// writePasswords makes a password file with mosquitto's own tool, which
// hashes what it finds in clear.
func writePasswords(path string, users map[string]string) error {
	bin, err := find("mosquitto_passwd")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for name, password := range users {
		io.WriteString(f, name+":"+password+"\n")
	}
	if err := f.Close(); err != nil {
		return err
	}
	if out, err := exec.Command(bin, "-U", path).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", bin, err, out)
	}
	return nil
}
