package inner

import (
	"os"
	"strconv"
	"strings"
)

// Events are what the kernel counts for the container's control group. That is
// shown to process 1 as it is to any container; jobs don't see it.
type Events struct {
	Killed   int // processes, because memory was out
	Unforked int // processes that could not be started
}

// counters are where that stands, by both versions of the kernel's interface.
func counters() []struct{ killed, unforked [2]string } {
	return []struct{ killed, unforked [2]string }{
		{[2]string{"memory.events", "oom_kill"}, [2]string{"pids.events", "max"}},
		{[2]string{"memory/memory.oom_control", "oom_kill"}, [2]string{"pids/pids.events", "max"}},
	}
}

// readEvents reads the counts below dir, /sys/fs/cgroup; what is not there is 0.
func readEvents(dir string) (e Events) {
	for _, c := range counters() {
		e.Killed += count(dir, c.killed)
		e.Unforked += count(dir, c.unforked)
	}
	return e
}

// count reads one line "KEY NUMBER" of a file.
func count(dir string, at [2]string) int {
	b, err := os.ReadFile(dir + "/" + at[0])
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if key, number, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == at[1] {
			n, _ := strconv.Atoi(number) // the kernel's word; anything else counts for nothing
			return n
		}
	}
	return 0
}

// since is what was counted after earlier.
func (e Events) since(earlier Events) Events {
	return Events{e.Killed - earlier.Killed, e.Unforked - earlier.Unforked}
}
