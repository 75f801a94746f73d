package native

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxCPUInfo bounds /proc/cpuinfo: some 2 KiB for each of thousands of cores.
const maxCPUInfo = 16 << 20

// cpuRest is how long what was read is believed: reading it makes the kernel
// ask every core for its clock, and only a machine that moves changes its CPU.
const cpuRest = time.Minute

// CPUs knows the processors of this machine by what /proc/cpuinfo says of them.
// Its zero value is ready, for many goroutines.
type CPUs struct {
	// Read gives the text of /proc/cpuinfo; nil reads the file. Set before the
	// first use.
	Read func() ([]byte, error)

	mu   sync.Mutex // guards the fields below
	text string
	at   time.Time
}

// Identity is a text that changes when the machine's processors do: each kind
// of core once (peers' trap 35), without what differs from core to core and from
// minute to minute.
func (c *CPUs) Identity() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text != "" && time.Since(c.at) < cpuRest {
		return c.text, nil
	}
	read := c.Read
	if read == nil {
		read = func() ([]byte, error) { return os.ReadFile("/proc/cpuinfo") }
	}
	text, err := read()
	if err == nil && (len(text) == 0 || len(text) > maxCPUInfo) {
		err = fmt.Errorf("/proc/cpuinfo has %d bytes", len(text))
	}
	if err != nil {
		return "", fmt.Errorf("look at the processors: %w", err)
	}
	c.text, c.at = cpuIdentity(string(text)), time.Now()
	return c.text, nil
}

// fleetingKeys are lines of /proc/cpuinfo that say which core it is, or how fast
// it runs now.
var fleetingKeys = []string{
	"processor", "core id", "physical id", "apicid", "initial apicid", "siblings", "cpu cores", "cpu number",
	"cpu mhz", "cpu mhz dynamic", "cpu mhz static", "bogomips", "clock",
}

// cpuIdentity keeps each kind of core that the text has, sorted.
func cpuIdentity(text string) string {
	var kinds []string
	for block := range strings.SplitSeq(text, "\n\n") {
		var kind []string
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(line, ":")
			key = strings.TrimSpace(key)
			if key != "" && !slices.Contains(fleetingKeys, strings.ToLower(key)) {
				kind = append(kind, key+"="+strings.TrimSpace(value))
			}
		}
		if len(kind) > 0 {
			kinds = append(kinds, strings.Join(kind, "\n"))
		}
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), "\n\n")
}
