package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

// clientFile is where a client's configuration is unless CROSSCC_CONFIG says.
const clientFile = "/etc/crosscc/crosscc.toml"

// A Client is the configuration of one compile's client. The agent loads it for
// each job's root and environment, since an agent has no settings of its own.
type Client struct {
	// Hosts are the helpers; none means the helper inside the agent. Entries
	// that say no match of their own have Match.
	Hosts hostlist.List
	// HostsFrom says where Hosts came from (a variable's or a file's name), for
	// people; "" when nothing named any.
	HostsFrom string
	// Match is the least match that a helper's toolchain must have.
	Match toolchains.Match
	// LocalSlots is how many compiles run locally at once; 0 means as many as
	// processors and memory allow.
	LocalSlots int
	// Idle is how long an agent without work stays.
	Idle time.Duration
	// Preprocessed says that sources go as preprocessed text where they could go
	// as trees.
	Preprocessed bool
	// DropNativeParams leaves the sizes of caches out of what -march=native means.
	DropNativeParams bool
	// Packs says that the client's compilers may be sent to helpers that have none
	// like them and take some.
	Packs bool
	// Verify is the share of remote compiles, 0 to 1, that are done at home as
	// well and compared; VerifyCalibrated is the same for those of calibrated
	// toolchains.
	Verify, VerifyCalibrated float64
	// LogLevel is error, warn, info, debug or trace.
	LogLevel string
	// Toolchain are the images that define compiles, and ToolchainFrom is where that
	// was said: a variable's or a file's name.
	Toolchain     Pins
	ToolchainFrom string
}

// verifyCalibrated is the share that is verified of what calibrated toolchains
// make, unless the configuration says another.
const verifyCalibrated = 1.0 / 200

// clientSettings are the keys of crosscc.toml, as they set c.
func clientSettings(c *Client) []setting {
	return []setting{
		{"hosts", "CROSSCC_HOSTS", "The helpers: a host list, or a list of its entries; an empty one means none. Default: DISTCC_HOSTS or distcc's hosts files, else a helper inside the agent.",
			c.setHosts},
		{"match", "CROSSCC_MATCH", `How well a helper's toolchain must fit: "identical" or "calibrated" (default).`,
			func(v any) error { return set(&c.Match, v, matchOf) }},
		{"local_slots", "CROSSCC_LOCAL_SLOTS", "How many compiles run locally at once. Default 0: as many as processors and memory allow.",
			func(v any) error { return set(&c.LocalSlots, v, slotsOf) }},
		{"idle", "CROSSCC_IDLE", `How long an agent without work stays. Default "10m".`,
			func(v any) error { return set(&c.Idle, v, durationOf) }},
		{"source", "CROSSCC_SOURCE", `How sources travel: "tree" (default), with their headers, where that is known to be enough, or always "preprocessed".`,
			func(v any) error { return set(&c.Preprocessed, v, sourceOf) }},
		{"native_params", "CROSSCC_NATIVE_PARAMS", `What -march=native of gcc means: "keep" (default), all that it means here, or "drop", all but the --param words with the sizes of caches, so that machines whose CPUs differ in nothing else share results. With "drop" an object need not be the local one: -g (in DW_AT_producer) and -frecord-gcc-switches record those words, and the code of a loop may follow them. Such jobs are not verified.`,
			func(v any) error { return set(&c.DropNativeParams, v, dropOf) }},
		{"verify", "CROSSCC_VERIFY", "The share of remote compiles, from 0 to 1, that are also done locally and compared. Of those that differ the local object counts, and the helper gets no more such jobs until `crossctl verify --clear`. Default: 0.005 of those of calibrated toolchains, none of identical ones.",
			func(v any) error {
				err := set(&c.Verify, v, shareOf)
				c.VerifyCalibrated = c.Verify
				return err
			}},
		{"packs", "CROSSCC_PACKS", "Whether this machine's own compilers may be sent to a helper that has none like them and takes them (its key packs): once, in the background, while jobs are local. Default true; only compilers in the root of the agent.",
			func(v any) error { return set(&c.Packs, v, switchOf) }},
		{"log_level", "CROSSCC_LOG_LEVEL", `How much the agent and the wrapper log: "error", "warn", "info" (default), "debug" or "trace".`,
			func(v any) error { return set(&c.LogLevel, v, levelOf) }},
		{"toolchain", "CROSSCC_TOOLCHAIN", `The image that defines what is compiled, "NAME@sha256:…": its compiler, its headers, its libraries ([pins.md](pins.md)); or a table of one for each target. In the variable: words of which each is PIN or TARGET=PIN. Default: none, this machine's compilers define it.`,
			c.setToolchain},
	}
}

// LoadClient loads the configuration of the client whose files read reads and
// whose environment getenv has. read gets absolute names, must bound what it
// reads, and says fs.ErrNotExist of a file that is not there; every other error
// of it is LoadClient's.
//
// project is the file of the project that is compiled, whose word counts more than
// the configuration's and less than the environment's; nil: there is none.
func LoadClient(read func(name string) ([]byte, error), getenv func(string) string, project *Project) (Client, error) {
	c := Client{Match: toolchains.Calibrated, Idle: 10 * time.Minute, LogLevel: "info", Packs: true, VerifyCalibrated: verifyCalibrated}
	settings := clientSettings(&c)
	name, must := clientFile, false
	if v := getenv("CROSSCC_CONFIG"); v != "" {
		if !path.IsAbs(v) {
			return Client{}, fmt.Errorf("CROSSCC_CONFIG: %q is not an absolute path", v)
		}
		name, must = v, true
	}
	doc, err := read(name)
	switch {
	case err == nil:
		err = applyFile(name, doc, settings)
		if c.HostsFrom != "" {
			c.HostsFrom = name
		}
		if c.ToolchainFrom != "" {
			c.ToolchainFrom = name
		}
	case !must && errors.Is(err, fs.ErrNotExist):
		err = nil
	default:
		err = fmt.Errorf("configuration %s: %w", name, err)
	}
	if err == nil {
		err = applyProject(project, &c)
	}
	if err == nil {
		err = applyEnv(getenv, settings)
	}
	if err == nil && c.HostsFrom == "" {
		err = c.distccHosts(read, getenv)
	}
	if err != nil {
		return Client{}, err
	}
	c.finish()
	return c, nil
}

func (c *Client) setToolchain(value any) error {
	c.ToolchainFrom = "CROSSCC_TOOLCHAIN" // or the file, whose name LoadClient knows
	return set(&c.Toolchain, value, pinsOf)
}

// setHosts takes a host list, or a list of host lists.
func (c *Client) setHosts(value any) error {
	s, err := text(value)
	if words, ok := value.([]any); ok {
		var all []string
		all, err = list(words)
		s = strings.Join(all, "\n")
	}
	if err != nil {
		return err
	}
	c.HostsFrom = "CROSSCC_HOSTS" // or the file, whose name LoadClient knows
	c.Hosts, err = hostlist.Parse(s)
	return err
}

// distccHosts looks where distcc looks; the first that is there counts.
func (c *Client) distccHosts(read func(string) ([]byte, error), getenv func(string) string) (err error) {
	if s := getenv("DISTCC_HOSTS"); s != "" {
		c.HostsFrom = "DISTCC_HOSTS"
		if c.Hosts, err = hostlist.Parse(s); err != nil {
			return fmt.Errorf("DISTCC_HOSTS: %w", err)
		}
		return nil
	}
	dir := getenv("DISTCC_DIR")
	if dir == "" && path.IsAbs(getenv("HOME")) {
		dir = path.Join(getenv("HOME"), ".distcc")
	}
	names := []string{"/etc/distcc/hosts"}
	if path.IsAbs(dir) {
		names = []string{path.Join(dir, "hosts"), names[0]}
	}
	for _, name := range names {
		doc, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			c.HostsFrom = name
			c.Hosts, err = hostlist.Parse(string(doc))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	return nil
}

// finish fills in what one setting takes from another.
func (c *Client) finish() {
	for i := range c.Hosts.Entries {
		if h := &c.Hosts.Entries[i]; h.Match == toolchains.None {
			h.Match = c.Match
		}
	}
	if c.LocalSlots == 0 {
		c.LocalSlots = c.Hosts.LocalSlots
	}
}

// set stores what parse makes of value.
func set[T any](field *T, value any, parse func(any) (T, error)) error {
	v, err := parse(value)
	if err == nil {
		*field = v
	}
	return err
}

func matchOf(value any) (toolchains.Match, error) {
	s, err := oneOf(value, "identical", "calibrated")
	if s == "identical" {
		return toolchains.Identical, err
	}
	return toolchains.Calibrated, err
}

func sourceOf(value any) (preprocessed bool, err error) {
	s, err := oneOf(value, "tree", "preprocessed")
	return s == "preprocessed", err
}

func dropOf(value any) (drop bool, err error) {
	s, err := oneOf(value, "keep", "drop")
	return s == "drop", err
}

// shareOf reads a number from 0 to 1, which an environment has as text.
func shareOf(value any) (float64, error) {
	var f float64
	switch v := value.(type) {
	case float64:
		f = v
	case int64:
		f = float64(v)
	default:
		s, err := text(value)
		if err != nil {
			return 0, err
		}
		if f, err = strconv.ParseFloat(s, 64); err != nil {
			return 0, fmt.Errorf("%q is not a number from 0 to 1", s)
		}
	}
	if !(f >= 0 && f <= 1) {
		return 0, fmt.Errorf("%v is not a number from 0 to 1", f)
	}
	return f, nil
}

func slotsOf(value any) (int, error) { return whole(value, 0, hostlist.MaxSlots) }

func durationOf(value any) (time.Duration, error) {
	s, err := text(value)
	if err != nil {
		return 0, fmt.Errorf(`%w; write the unit too: "10m"`, err)
	}
	return parseDuration(s)
}

func levelOf(value any) (string, error) {
	return oneOf(value, "error", "warn", "info", "debug", "trace")
}

// switchOf is truth, which a variable says by 1 and 0 too.
func switchOf(value any) (bool, error) {
	word, ok := value.(envText)
	if !ok {
		return truth(value)
	}
	switch word {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q: say 1 or 0", string(word))
}
