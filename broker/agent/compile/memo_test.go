package compile

import (
	"errors"
	"testing"

	"github.com/crosscc/crosscc/toolchains"
)

// What was found out about a compiler holds for that compiler alone.
func TestMemo(t *testing.T) {
	var m Memo[int]
	asked := 0
	ask := func(key string, print toolchains.Fingerprint) int {
		v, err := m.Get(t.Context(), key, print, func() (int, error) { asked++; return asked, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	old, upgraded := toolchains.Fingerprint{"cc1": "1"}, toolchains.Fingerprint{"cc1": "2"}
	for _, step := range []struct {
		key   string
		print toolchains.Fingerprint
		want  int
	}{{"gcc", old, 1}, {"gcc", old, 1}, {"g++", old, 2}, {"gcc", upgraded, 3}, {"gcc", upgraded, 3}} {
		if got := ask(step.key, step.print); got != step.want {
			t.Errorf("%s %v: the answer of time %d, want %d", step.key, step.print, got, step.want)
		}
	}
	m.Forget("gcc")
	if ask("gcc", upgraded) != 4 {
		t.Error("not forgotten")
	}
	if _, err := m.Get(t.Context(), "bad", old, func() (int, error) { return 0, errors.New("no") }); err == nil {
		t.Error("no error of one that fails")
	}
	if _, err := m.Get(t.Context(), "bad", old, func() (int, error) { return 7, nil }); err != nil {
		t.Errorf("a failure was kept: %v", err)
	}
}
