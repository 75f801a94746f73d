package toolchains

import (
	"strings"
	"testing"
)

func TestRecorded(t *testing.T) {
	for words, want := range map[string]string{
		"-O2 -c a.c": "", "-g": "-g", "-g3 -O2": "-g3", "-ggdb": "-ggdb", "-g0": "", "-gz": "", "-gno-record-gcc-switches": "",
		"-g -gno-record-gcc-switches": "", "-gno-record-gcc-switches -g": "", "-gno-record-gcc-switches -grecord-gcc-switches -g": "-g",
		"-gsplit-dwarf": "-gsplit-dwarf", "-O2 -frecord-gcc-switches": "-frecord-gcc-switches", "-S -fverbose-asm": "-fverbose-asm",
		"-g -gno-record-gcc-switches -frecord-gcc-switches": "-frecord-gcc-switches",
	} {
		if got := recorded(strings.Fields(words)); got != want {
			t.Errorf("%s: %q, want %q", words, got, want)
		}
	}
}
