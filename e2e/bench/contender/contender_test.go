package contender

import (
	"testing"
)

func TestCcacheHits(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
		ok   bool
	}{
		{"cache_miss\t7\ndirect_cache_hit\t2\npreprocessed_cache_hit\t3\n", 5, true},
		{"direct_cache_hit\t0\n", 0, true},
		{"cache_miss\t7\n", 0, false},
		{"direct_cache_hit\tmany\n", 0, false},
		{"", 0, false},
	} {
		got, err := ccacheHits(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %d, %v", c.text, got, err)
		}
	}
}

func TestSince(t *testing.T) {
	var early, late status
	early.Agent.PID, late.Agent.PID = 1, 1
	early.Jobs.Remote, late.Jobs.Remote = 3, 10
	early.LocalReasons = map[string]int{"link": 1, "probe-source": 1}
	late.LocalReasons = map[string]int{"link": 3, "probe-source": 1}
	got := late.since(early)
	if got.Jobs.Remote != 7 || len(got.LocalReasons) != 1 || got.LocalReasons["link"] != 2 {
		t.Errorf("same agent: %+v", got)
	}
	late.Agent.PID = 2
	if got := late.since(early); got.Jobs.Remote != 10 {
		t.Errorf("another agent: %+v", got)
	}
}
