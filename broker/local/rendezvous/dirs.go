package rendezvous

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/crosscc/crosscc/broker/local"
)

// Dirs are the places of one user's agent.
type Dirs struct {
	// Socket is the agent's socket. Its directory is the user's alone; locks
	// and the mark of an agent that failed lie beside it.
	Socket string
	// State holds what outlives a session: logs, caches.
	State string
}

// Log is the file that the agent's stdout and stderr go to.
func (d Dirs) Log() string { return filepath.Join(d.State, "agent.log") }

// DirsOf finds the places from an environment: CROSSCC_SOCKET, else below
// CROSSCC_DIR, else below $XDG_RUNTIME_DIR where that directory is the user's
// alone (sudo leaves another user's), else below ~/.local/state. Nothing is
// made and nothing lies in /tmp.
func DirsOf(environ []string) (Dirs, error) {
	dir, home := local.Getenv(environ, "CROSSCC_DIR"), local.Getenv(environ, "HOME")
	d := Dirs{Socket: local.Getenv(environ, "CROSSCC_SOCKET"), State: dir}
	if state := local.Getenv(environ, "XDG_STATE_HOME"); d.State == "" && filepath.IsAbs(state) {
		d.State = filepath.Join(state, "crosscc")
	}
	if d.State == "" && filepath.IsAbs(home) {
		d.State = filepath.Join(home, ".local/state/crosscc")
	}
	if runtime := local.Getenv(environ, "XDG_RUNTIME_DIR"); d.Socket == "" && dir == "" && checkDir(runtime) == nil {
		d.Socket = filepath.Join(runtime, "crosscc/agent.sock")
	}
	if d.State == "" {
		return Dirs{}, errors.New("no place for the agent's socket: neither CROSSCC_DIR nor HOME is set")
	}
	if d.Socket == "" {
		d.Socket = filepath.Join(d.State, "run/agent.sock")
	}
	if !filepath.IsAbs(d.Socket) || !filepath.IsAbs(d.State) {
		return Dirs{}, fmt.Errorf("CROSSCC_SOCKET and CROSSCC_DIR must be absolute: %q, %q", d.Socket, d.State)
	}
	return d, nil
}

// checkDir says why dir can't hold the socket: it must be a directory, not a
// link to one, of this user's, closed to everyone else.
func checkDir(dir string) error {
	var st syscall.Stat_t
	if err := syscall.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	switch {
	case st.Mode&syscall.S_IFMT != syscall.S_IFDIR:
		return fmt.Errorf("%s is not a directory", dir)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("directory %s belongs to uid %d, not to uid %d", dir, st.Uid, os.Geteuid())
	case st.Mode&0o077 != 0:
		return fmt.Errorf("directory %s is open to other users (mode %04o, want 0700)", dir, st.Mode&0o7777)
	}
	return nil
}

// makeDir makes the socket's directory where it is missing, and checks it.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return checkDir(dir)
}
