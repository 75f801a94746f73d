package inner

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/sandbox/internal/graft"
)

const (
	// word as the first argument makes a program process 1 of a container, or the
	// shim. It opens nothing to anybody: both only do what their caller could do.
	word     = "sandbox-inside"
	initWord = "init"
	shimWord = "shim"
)

// A Setting is what process 1 is started with.
type Setting struct {
	Command  []string // how this program is started inside
	Socket   string
	Root     string // is jobs' /
	Late     string // has what Place copies to Root
	Out      string // writable, below Root; "" means none
	UID, GID int    // whom programs run as
}

// Words are the whole command line of process 1.
func (s Setting) Words() []string {
	words := append([]string{}, s.Command...)
	words = append(words, word, initWord, s.Socket, s.Root, s.Late, s.Out, strconv.Itoa(s.UID), strconv.Itoa(s.GID))
	return append(words, s.Command...)
}

func parseSetting(args []string) (s Setting, err error) {
	if len(args) < 7 {
		return s, errors.New("too few words")
	}
	s = Setting{Socket: args[0], Root: args[1], Late: args[2], Out: args[3], Command: args[6:]}
	s.UID, err = strconv.Atoi(args[4])
	if err == nil {
		s.GID, err = strconv.Atoi(args[5])
	}
	return s, err
}

// Main is the program inside: main calls it with os.Args[1:] before anything
// else, and exits with exit when handled is true.
func Main(args []string) (handled bool, exit int) {
	if len(args) < 2 || args[0] != word {
		return false, 0
	}
	var err error
	switch args[1] {
	case initWord:
		err = serve(args[2:])
	case shimWord:
		err = become()
	default:
		err = fmt.Errorf("unknown word %q", args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crosscc in a container:", err)
		return true, 1
	}
	return true, 0
}

// A server is process 1 of a container.
type server struct {
	Setting
	c      *net.UnixConn
	placed []string // until the next sweep
	// kept are the places in writable directories that are there for all jobs: mounts, and
	// what is to be kept.
	kept map[string]bool
}

// serve calls the helper and does what it says, until the wire is cut: then the
// helper is gone or has no more use for the container. A program that runs at that
// moment ends with process 1.
func serve(args []string) error {
	s, err := parseSetting(args)
	if err != nil {
		return err
	}
	u, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: s.Socket, Net: "unixpacket"})
	if err != nil {
		return err
	}
	defer func() { _ = u.Close() }()
	sv := &server{Setting: s, c: u}
	if err := sv.greet(); err != nil {
		return err
	}
	type request struct {
		m     message
		files []*os.File
	}
	requests, gone := make(chan request), make(chan error, 1)
	go func() {
		for {
			m, files, err := receive(u)
			if err != nil {
				gone <- err
				return
			}
			requests <- request{m, files}
		}
	}()
	// Requests are served beside, so that a cut is seen while a program runs.
	go func() {
		for r := range requests {
			err := sv.answer(r.m, r.files)
			closeAll(r.files)
			if err != nil {
				gone <- err
				return
			}
		}
	}()
	if err := <-gone; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (s *server) greet() error {
	if err := s.keep(); err != nil {
		return err
	}
	out, err := openDir(filepath.Join(s.Root, s.Out))
	if err != nil {
		return err
	}
	defer out.Close()
	tmp, err := openDir(filepath.Join(s.Root, "tmp"))
	if err != nil {
		return err
	}
	defer tmp.Close()
	return send(s.c, message{Kind: hello}, out, tmp)
}

func openDir(name string) (*os.File, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (s *server) answer(m message, files []*os.File) error {
	switch {
	case m.Kind == run && len(files) == 4:
		e, err := s.run(files)
		if err != nil {
			return err
		}
		return send(s.c, message{Kind: ended, End: e})
	case m.Kind == sweep:
		return send(s.c, answerOf(s.sweep()))
	case m.Kind == begin && len(files) == 1:
		return send(s.c, answerOf(s.begin(m.Places, files[0])))
	case m.Kind == place:
		return send(s.c, answerOf(s.place(m.Places, m.Keep)))
	}
	return fmt.Errorf("unknown request %q with %d descriptors", m.Kind, len(files))
}

func answerOf(err error) message {
	m := message{Kind: done}
	if err != nil {
		m.Error = err.Error()
		m.Error = m.Error[:min(len(m.Error), 4096)]
	}
	return m
}

// place copies files in, which are then root's. What is there already is a mount, or
// came with a directory.
func (s *server) place(places []string, keep bool) error {
	for _, p := range places {
		if !keep {
			s.placed = append(s.placed, p)
		}
		target := filepath.Join(s.Root, p)
		if _, err := os.Lstat(target); err == nil {
			continue
		}
		if err := graft.Onto(filepath.Join(s.Late, p), target); err != nil {
			return err
		}
	}
	if keep {
		return s.keep()
	}
	return nil
}

// keep notes what the writable directories have before the first job.
func (s *server) keep() error {
	s.kept = map[string]bool{}
	for _, dir := range s.writable() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			s.kept[filepath.Join(dir, e.Name())] = true
		}
	}
	return nil
}

func (s *server) writable() []string {
	dirs := []string{filepath.Join(s.Root, "tmp")}
	if s.Out != "" {
		dirs = append(dirs, filepath.Join(s.Root, s.Out))
	}
	return dirs
}

// run takes one program from its start to the end of the last process that it left.
func (s *server) run(files []*os.File) (*End, error) {
	told, tell, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer told.Close()
	words := append(append([]string{}, s.Command...), word, shimWord)
	cmd := &exec.Cmd{
		Path: words[0], Args: words, Env: []string{}, Dir: "/",
		Stdin: files[1], Stdout: files[2], Stderr: files[3], ExtraFiles: []*os.File{files[0], tell},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	before := readEvents(groups)
	err = cmd.Start()
	tell.Close()
	closeAll(files[1:]) // whoever reads them waits for the last writer
	if err != nil {
		return &End{Error: err.Error()}, nil
	}
	complaint, err := io.ReadAll(io.LimitReader(told, 4096))
	_ = cmd.Wait() // its status is in ProcessState
	if err != nil {
		return nil, err
	}
	e := &End{Error: string(complaint), User: cmd.ProcessState.UserTime(), System: cmd.ProcessState.SystemTime()}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		e.MaxRSS = int64(r.Maxrss) << 10
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		e.Status = uint32(ws)
	}
	e.Others, err = s.endOthers()
	e.Events = readEvents(groups).since(before)
	return e, err
}

// groups is where a container finds its own control group.
const groups = "/sys/fs/cgroup"

// endOthers kills what a program left behind. kill(-1) means every process but
// process 1, and no other is there.
func (s *server) endOthers() (others bool, err error) {
	err = s.as(func() error {
		for until := time.Now().Add(quick); time.Now().Before(until); {
			reap()
			if err := unix.Kill(-1, unix.SIGKILL); err == unix.ESRCH {
				return nil
			}
			others = true
			time.Sleep(100 * time.Microsecond)
		}
		return errors.New("a process does not end")
	})
	return others, err
}

// reap takes the orphans that have ended: process 1 is their parent.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 && err != unix.EINTR {
			return
		}
	}
}

// sweep empties the writable directories, and says what else of a job's stays.
func (s *server) sweep() error {
	for i := len(s.placed) - 1; i >= 0; i-- {
		if err := os.RemoveAll(filepath.Join(s.Root, s.placed[i])); err != nil {
			return err
		}
	}
	s.placed = nil
	for _, dir := range s.writable() {
		if err := s.empty(dir); err != nil {
			return err
		}
	}
	// Shared memory outlives processes. Each table has a line of titles.
	for _, table := range []string{"shm", "sem", "msg"} {
		b, err := os.ReadFile("/proc/sysvipc/" + table)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if strings.Count(string(b), "\n") > 1 {
			return fmt.Errorf("objects of System V (%s) stay", table)
		}
	}
	return nil
}

// empty removes from dir what was not there before the first job.
func (s *server) empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var others []string
	err = s.as(func() error {
		for _, e := range entries {
			p := filepath.Join(dir, e.Name())
			var st unix.Stat_t
			if s.kept[p] {
				continue
			}
			if err := unix.Lstat(p, &st); err == nil && st.Uid != uint32(s.UID) {
				others = append(others, p)
			} else if err := removeOwn(p); err != nil {
				return err
			}
		}
		return nil
	})
	// Where the kernel lets anybody link any file (fs.protected_hardlinks=0), a program
	// may have left another name of a file of ours.
	for _, p := range others {
		err = errors.Join(err, os.Remove(p))
	}
	return err
}

// removeOwn removes what a program made. It may have taken its own rights to a directory
// away. A link is not followed: WalkDir has looked, and nobody else runs.
func removeOwn(p string) error {
	_ = filepath.WalkDir(p, func(p string, e fs.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(p)
}

// as calls f with this thread's user changed to the programs'. Process 1 has no
// rights over other users' files and processes.
func (s *server) as(f func() error) (err error) {
	runtime.LockOSThread()
	if err := setIDs(s.UID, s.GID, 0); err != nil {
		return err // and the thread ends with its goroutine
	}
	defer func() {
		if back := setIDs(0, 0, 0); back != nil {
			err = errors.Join(err, back)
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// setIDs sets the ids of the calling thread alone.
func setIDs(uid, gid, saved int) error {
	call := func(nr uintptr, id int) error {
		if _, _, e := unix.RawSyscall(nr, uintptr(id), uintptr(id), uintptr(saved)); e != 0 {
			return fmt.Errorf("take id %d: %w", id, e)
		}
		return nil
	}
	if uid == 0 { // the right to change groups comes with the user
		if err := call(unix.SYS_SETRESUID, uid); err != nil {
			return err
		}
		return call(unix.SYS_SETRESGID, gid)
	}
	if err := call(unix.SYS_SETRESGID, gid); err != nil {
		return err
	}
	return call(unix.SYS_SETRESUID, uid)
}

// Descriptors of the shim.
const (
	jobFile  = 3
	tellFile = 4
)

// become turns the shim into the program of its job. It comes back only with an
// error, which the helper gets.
func become() error {
	tell := os.NewFile(tellFile, "tell")
	err := becomeJob()
	fmt.Fprintf(tell, "%v", err)
	return nil
}

func becomeJob() error {
	debug.SetGCPercent(-1) // exec says why
	if err := unix.CloseRange(jobFile, ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors (Linux 5.11): %w", err)
	}
	j, err := readJob(os.NewFile(jobFile, "job"))
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	return j.exec()
}

func readJob(f *os.File) (*Job, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	j := &Job{}
	return j, gob.NewDecoder(f).Decode(j)
}
