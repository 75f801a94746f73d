package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A host is where the kernel says what there is. Tests give a made-up one: the
// kernel makes the files of a new directory by itself, a disk does not.
type host struct {
	self, mounts string // /proc/self/cgroup, /proc/self/mountinfo
	mkdir, rmdir func(dir string) error
}

func theHost() host {
	return host{
		"/proc/self/cgroup", "/proc/self/mountinfo",
		func(dir string) error { return os.Mkdir(dir, 0o755) },
		func(dir string) error {
			if err := unix.Rmdir(dir); err != nil {
				return &os.PathError{Op: "rmdir", Path: dir, Err: err}
			}
			return nil
		},
	}
}

// A hierarchy is one of the kernel's, as far as we use it.
type hierarchy struct {
	host
	v2          bool
	controllers []string
	own         string // this process's group
}

func (h *hierarchy) has(controller string) bool { return slices.Contains(h.controllers, controller) }

func (h *hierarchy) String() string {
	version := "v1"
	if h.v2 {
		version = "v2"
	}
	return "cgroup " + version + " " + strings.Join(h.controllers, " and ")
}

// controllers are those that bound what a job can take of a machine.
func controllers() []string { return []string{"memory", "pids"} }

// find lists the hierarchies that have the controllers, the unified one first.
// All controllers must be somewhere.
func (h host) find() ([]hierarchy, error) {
	paths, err := h.paths()
	if err != nil {
		return nil, err
	}
	mounts, err := h.hierarchies(paths)
	if err != nil {
		return nil, err
	}
	var found []hierarchy
	for _, c := range controllers() {
		i := slices.IndexFunc(mounts, func(m hierarchy) bool { return m.has(c) })
		if i < 0 {
			return nil, fmt.Errorf("no cgroup of this process's has the controller %s", c)
		}
		at := slices.IndexFunc(found, func(f hierarchy) bool { return f.own == mounts[i].own })
		if at < 0 {
			m := mounts[i]
			m.controllers = nil
			found, at = append(found, m), len(found)
		}
		found[at].controllers = append(found[at].controllers, c)
	}
	return found, nil
}

// paths are the groups of this process by controller, "" for the unified
// hierarchy: lines NUMBER:CONTROLLERS:PATH (cgroups(7)).
func (h host) paths() (map[string]string, error) {
	b, err := os.ReadFile(h.self)
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for line := range strings.Lines(string(b)) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(words) != 3 {
			continue
		}
		for c := range strings.SplitSeq(words[1], ",") {
			paths[c] = words[2]
		}
	}
	return paths, nil
}

// hierarchies reads where they are mounted: proc(5)'s mountinfo, fields 4 and 5
// (root and place), and behind a dash type, source and options.
func (h host) hierarchies(paths map[string]string) ([]hierarchy, error) {
	f, err := os.Open(h.mounts)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []hierarchy
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(place) < 5 || len(kind) < 3 {
			continue
		}
		hi := hierarchy{host: h, v2: kind[0] == "cgroup2"}
		path := paths[""]
		switch {
		case hi.v2:
		case kind[0] == "cgroup":
			options := strings.Split(kind[2], ",")
			hi.controllers = slices.DeleteFunc(controllers(), func(c string) bool { return !slices.Contains(options, c) })
			if len(hi.controllers) == 0 {
				continue
			}
			path = paths[hi.controllers[0]]
		default:
			continue
		}
		if hi.own, ok = below(unescape(place[4]), unescape(place[3]), path); !ok {
			continue
		}
		if hi.v2 {
			text, err := read(hi.own, "cgroup.controllers")
			if err != nil {
				continue
			}
			// A group of ours has none of its own; it had them from the one above.
			hi.controllers = strings.Fields(text)
		}
		list = append(list, hi)
	}
	slices.SortStableFunc(list, func(a, b hierarchy) int {
		switch {
		case a.v2 == b.v2:
			return 0
		case a.v2:
			return -1
		}
		return 1
	})
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no cgroup file system is mounted that shows this process's groups")
	}
	return list, nil
}

// below is where a group is seen of which only what is below root is mounted.
func below(place, root, group string) (string, bool) {
	rel, err := filepath.Rel(root, group)
	if err != nil || group == "" || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.Join(place, rel), true
}

// unescape reads the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func containsAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(have, w) })
}
