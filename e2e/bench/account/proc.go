package account

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux port that
// runs a compiler.
const tick = 10 * time.Millisecond

// times are what /proc/PID/stat says of one process.
type times struct {
	own      time.Duration // its threads, ended ones included
	children time.Duration // its children that ended and were waited for, and theirs
}

// process is the processor time of a living process.
func process(pid int) (times, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return times{}, err
	}
	return parseStat(string(text))
}

// parseUsage reads cgroup v1's cpuacct.usage.
func parseUsage(text string) (time.Duration, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("cpuacct.usage is %q, not nanoseconds", text)
	}
	return time.Duration(n), nil
}

// parseCPUStat reads cgroup v2's cpu.stat.
func parseCPUStat(text string) (time.Duration, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			if err != nil || n < 0 {
				return 0, fmt.Errorf("cpu.stat says %q, not microseconds", line)
			}
			return time.Duration(n) * time.Microsecond, nil
		}
	}
	return 0, fmt.Errorf("cpu.stat has no usage_usec: %q", text)
}

// parseStat reads fields 14 to 17 of proc(5)'s /proc/PID/stat. The second field,
// the name in parentheses, may hold anything.
func parseStat(text string) (times, error) {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return times{}, fmt.Errorf("stat without a name: %q", text)
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 15 {
		return times{}, fmt.Errorf("stat with %d fields after the name: %q", len(fields), text)
	}
	var n [4]time.Duration
	for i := range n {
		v, err := strconv.ParseInt(fields[11+i], 10, 64)
		if err != nil {
			return times{}, fmt.Errorf("stat with the time %q", fields[11+i])
		}
		n[i] = time.Duration(v) * tick
	}
	return times{own: n[0] + n[1], children: n[2] + n[3]}, nil
}

// marked are the living processes with mark in their words or environment, but
// for ourselves.
func marked(mark string) []int {
	var pids []int
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range entries {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		words, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if bytes.Contains(words, []byte(mark)) || bytes.Contains(environ, []byte(mark)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// A Machine is how much of its processors' time was spent, and how, since it
// started.
type Machine struct {
	Busy   time.Duration // by all processes
	Stolen time.Duration // taken by the machine below this one
}

// ReadMachine reads the first line of /proc/stat.
func ReadMachine() (Machine, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Machine{}, err
	}
	return parseMachine(string(text))
}

// parseMachine reads user, nice, system, idle, iowait, irq, softirq and steal.
func parseMachine(text string) (Machine, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return Machine{}, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var m Machine
	for i, word := range fields[1:9] {
		v, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return Machine{}, fmt.Errorf("/proc/stat begins with %q", line)
		}
		switch i {
		case 0, 1, 2, 5, 6:
			m.Busy += time.Duration(v) * tick
		case 7:
			m.Stolen += time.Duration(v) * tick
		}
	}
	return m, nil
}
