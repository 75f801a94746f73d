package agent

import (
	"errors"
	"testing"

	"github.com/crosscc/crosscc/toolchains"
)

// What was found out about a compiler holds for that compiler alone.
func TestMemo(t *testing.T) {
	var m memo[int]
	asked := 0
	ask := func(key string, print toolchains.Fingerprint) int {
		v, err := m.get(t.Context(), key, print, func() (int, error) { asked++; return asked, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	old, upgraded := toolchains.Fingerprint{"cc1": "1"}, toolchains.Fingerprint{"cc1": "2"}
	if ask("gcc", old) != 1 || ask("gcc", old) != 1 || ask("g++", old) != 2 {
		t.Errorf("asked %d times for two compilers", asked)
	}
	if ask("gcc", upgraded) != 3 || ask("gcc", upgraded) != 3 {
		t.Errorf("the answer of before the upgrade, or asked again: %d", asked)
	}
	m.forget("gcc")
	if ask("gcc", upgraded) != 4 {
		t.Error("not forgotten")
	}
	if _, err := m.get(t.Context(), "bad", old, func() (int, error) { return 0, errors.New("no") }); err == nil {
		t.Error("no error of one that fails")
	}
	if _, err := m.get(t.Context(), "bad", old, func() (int, error) { return 7, nil }); err != nil {
		t.Errorf("a failure was kept: %v", err)
	}
}
