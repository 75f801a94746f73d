package diagnostics

import "testing"

func TestClangSpeaks(t *testing.T) {
	for text, want := range map[string]bool{
		"clang: warning: argument unused during compilation: '-x'\n":                                              true,
		"a.c:1:2: warning: b\nclang-14: error: no such file or directory\n":                                       true,
		"Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu\n (in-process)\n \"/usr/bin/clang\" \"-cc1\"\n": false,
		"dir/clang.c:1:2: warning: unused\n":                                                                      false,
	} {
		if got := clangSpeaks.MatchString(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
