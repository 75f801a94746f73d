package account

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name, text string
		parse      func(string) (time.Duration, error)
		want       time.Duration
		fails      bool
	}{
		{"v1", "1500000\n", parseUsage, 1500 * time.Microsecond, false},
		{"v1 empty", "\n", parseUsage, 0, true},
		{"v1 negative", "-1\n", parseUsage, 0, true},
		{"v2", "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\n", parseCPUStat, 2500 * time.Microsecond, false},
		{"v2 in another place", "nr_periods 0\nusage_usec 7000\n", parseCPUStat, 7 * ms, false},
		{"v2 without", "user_usec 2000\n", parseCPUStat, 0, true},
		{"v2 no number", "usage_usec many\n", parseCPUStat, 0, true},
		{"stat", stat("(make)"), own, 30 * ms, false},
		{"stat with a hard name", stat("(a) b (c) 1 2)"), own, 30 * ms, false},
		{"stat's children", stat("(make)"), children, 70 * ms, false},
		{"stat cut off", "12 (make) S 1 2 3", own, 0, true},
		{"stat without a name", "12", own, 0, true},
		{"machine", "cpu  1 2 4 1000 1000 8 16 3 900 900\ncpu0 1\n", busy, 310 * ms, false},
		{"machine, stolen", "cpu  1 2 4 1000 1000 8 16 3 0 0\n", stolen, 30 * ms, false},
		{"machine cut off", "cpu 1 2\n", busy, 0, true},
	} {
		got, err := c.parse(c.text)
		if (err != nil) != c.fails || got != c.want {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

// stat is a line of /proc/PID/stat with utime 1, stime 2, cutime 3, cstime 4.
func stat(name string) string {
	return "4711 " + name + " S 1 4711 4711 0 -1 4194560 100 200 0 0 1 2 3 4 20 0 1 0 99 1000 10 0 0\n"
}

func own(text string) (time.Duration, error) {
	t, err := parseStat(text)
	return t.own, err
}

func children(text string) (time.Duration, error) {
	t, err := parseStat(text)
	return t.children, err
}

func busy(text string) (time.Duration, error) {
	m, err := parseMachine(text)
	return m.Busy, err
}

func stolen(text string) (time.Duration, error) {
	m, err := parseMachine(text)
	return m.Stolen, err
}

// A child that has ended and one that lives both count when there is no cgroup.
func TestProcGroup(t *testing.T) {
	book, err := Open(kindProc)
	if err != nil {
		t.Fatal(err)
	}
	mark := t.TempDir()
	g, err := book.Group("client", mark)
	if err != nil {
		t.Fatal(err)
	}
	const burn = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`
	ended := exec.Command("sh", "-c", burn)
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	g.Ended(ended.ProcessState)
	first, err := g.Used()
	if err != nil || first <= 0 {
		t.Fatalf("after a child ended: %v, %v", first, err)
	}
	lives := exec.Command("sh", "-c", burn+"; echo; read word") // no exec: in the middle of one a process has no environment
	lives.Env = append(os.Environ(), "MARK="+mark)
	in, err := lives.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := lives.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lives.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if pids := g.Processes(); len(pids) != 1 || pids[0] != lives.Process.Pid {
		t.Errorf("living processes: %v, want %d", pids, lives.Process.Pid)
	}
	if second, err := g.Used(); err != nil || second <= first {
		t.Errorf("while a child lives: %v, %v, was %v", second, err, first)
	}
	in.Close()
	_ = lives.Wait()
	if n, err := g.Close(); n != 0 || err != nil {
		t.Errorf("Close: %d, %v", n, err)
	}
}

// TestUnknownKind is the flag's typing error.
func TestUnknownKind(t *testing.T) {
	if _, err := Open("cgroup3"); err == nil {
		t.Error("a way to count that is none was opened")
	}
}
