package compile

import (
	"slices"
	"strings"
	"testing"
)

func TestWithoutSizes(t *testing.T) {
	for words, want := range map[string]string{
		"": "",
		"-march=skylake -mavx --param l1-cache-size=32 --param l1-cache-line-size=64 --param l2-cache-size=256 -mtune=skylake": "-march=skylake -mavx -mtune=skylake",
		"--param l2-cache-size=256":                "",
		"-march=znver3 --param avg-loop-niter=10":  "-march=znver3 --param avg-loop-niter=10",
		"-mtune=l1-cache-size=1 --param":           "-mtune=l1-cache-size=1 --param",
		"--param destruct-interfere-size=64 -mavx": "--param destruct-interfere-size=64 -mavx",
	} {
		if got := withoutSizes(strings.Fields(words)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: got %q, want %q", words, got, want)
		}
	}
}
