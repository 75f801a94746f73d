package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var statusCommands = map[string]func(*testscript.TestScript, bool, []string){
	"jobs":     func(ts *testscript.TestScript, _ bool, args []string) { checkCounts(ts, args, jobCounts) },
	"reason":   func(ts *testscript.TestScript, _ bool, args []string) { checkCounts(ts, args, reasonCounts) },
	"treeless": func(ts *testscript.TestScript, _ bool, args []string) { checkCounts(ts, args, treelessCounts) },
}

// A status is what design section 15 promises of `crossctl status --json`.
type status struct {
	Jobs         map[string]int `json:"jobs"`
	Matches      map[string]int `json:"matches"`
	LocalReasons map[string]int `json:"local_reasons"`
	Preprocessed map[string]int `json:"preprocessed_reasons"`
	Helpers      []struct {
		Address, State string
		Slots, Jobs    int
	} `json:"helpers"`
}

// countLimit bounds how long after a wrapper's end its job may be counted.
const countLimit = 5 * time.Second

var count = regexp.MustCompile(`^([a-z0-9-]+)(=|>=|<=)([0-9]+)$`)

func jobCounts(s status) (map[string]int, error) {
	all := make(map[string]int)
	maps.Copy(all, s.Jobs)
	maps.Copy(all, s.Matches)
	if len(s.Jobs) < 4 || len(s.Matches) < 3 {
		return nil, fmt.Errorf("status lacks counts: %+v", s)
	}
	all["served"] = s.Jobs["remote"] + s.Jobs["cached"]
	return all, nil
}

func reasonCounts(s status) (map[string]int, error) {
	sum := 0
	for _, n := range s.LocalReasons {
		sum += n
	}
	if sum != s.Jobs["local"] {
		return nil, fmt.Errorf("%d jobs were local, but the reasons are %v", s.Jobs["local"], s.LocalReasons)
	}
	return s.LocalReasons, nil
}

// treelessCounts has all of them as "all".
func treelessCounts(s status) (map[string]int, error) {
	all := make(map[string]int)
	for why, n := range s.Preprocessed {
		all[why] += n
		all["all"] += n
	}
	return all, nil
}

// checkCounts compares words such as remote=3 or local>=1 with what the agent
// has counted. What it has not counted is 0.
func checkCounts(ts *testscript.TestScript, args []string, counts func(status) (map[string]int, error)) {
	ts.Check(eventually(countLimit, func() error {
		s, err := askStatus(ts)
		if err != nil {
			return fmt.Errorf("crossctl status --json: %w", err)
		}
		have, err := counts(s)
		if err != nil {
			return err
		}
		for _, word := range args {
			if err := checkCount(have, word); err != nil {
				return fmt.Errorf("%w in %+v", err, s)
			}
		}
		return nil
	}))
}

// askStatus is apart from testscript's exec, which would log every answer.
func askStatus(ts *testscript.TestScript) (s status, err error) {
	cmd := exec.Command(bin("crossctl"), "status", "--json")
	for _, name := range []string{"PATH", "HOME", "XDG_RUNTIME_DIR", "CROSSCC_DIR", "CROSSCC_SOCKET", "CROSSCC_CONFIG", "CROSSCC_HOSTS"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	out, err := cmd.Output()
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(out, &s)
}

func checkCount(have map[string]int, word string) error {
	m := count.FindStringSubmatch(word)
	if m == nil {
		return fmt.Errorf("%q is not KEY=N, KEY>=N or KEY<=N", word)
	}
	want, err := strconv.Atoi(m[3])
	if err != nil {
		return err
	}
	got, ok := have[m[1]], false
	switch m[2] {
	case "=":
		ok = got == want
	case ">=":
		ok = got >= want
	case "<=":
		ok = got <= want
	}
	if !ok {
		return fmt.Errorf("%s is %d, want %s", m[1], got, word)
	}
	return nil
}
