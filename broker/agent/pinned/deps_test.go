package pinned

import (
	"strings"
	"testing"
)

// What is not here is no target's need, and the rest stays as it was.
func TestWithout(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":         {"a.o: a.c b.h \\\n c.h\n", "a.o: a.c b.h \\\n c.h\n"},
		"one line":        {"a.o: a.c /usr/x.h b.h\n", "a.o: a.c b.h\n"},
		"a line in it":    {"a.o: a.c \\\n /usr/x.h /usr/y.h \\\n b.h\n", "a.o: a.c \\\n b.h\n"},
		"the last line":   {"a.o: a.c \\\n /usr/x.h \\\n /usr/y.h\n", "a.o: a.c\n"},
		"a part of lines": {"a.o: a.c /usr/x.h \\\n b.h /usr/y.h\n", "a.o: a.c \\\n b.h\n"},
		"phony targets":   {"a.o: a.c /usr/x.h b.h\n/usr/x.h:\nb.h:\n", "a.o: a.c b.h\nb.h:\n"},
		"gcc's older":     {"a.o: a.c /usr/x.h b.h\n\n/usr/x.h:\n\nb.h:\n", "a.o: a.c b.h\n\nb.h:\n"},
		"what is here":    {"/usr/a.o: a.c /usr/x.h /usr/here.h\n/usr/x.h:\n/usr/here.h:\n", "/usr/a.o: a.c /usr/here.h\n/usr/here.h:\n"},
		"quoted":          {"a.o: a\\ b.c /usr/a\\ x.h\n", "a.o: a\\ b.c /usr/a\\ x.h\n"},
		"empty":           {"", ""},
	} {
		absent := func(name string) bool {
			return strings.HasPrefix(name, "/usr/") && !strings.Contains(name, "\\") && name != "/usr/here.h"
		}
		if got := without(tt.text, absent); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
