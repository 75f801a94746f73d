package pinned

import (
	"testing"

	"github.com/crosscc/crosscc/argv/task"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/local"
)

// A compiler's answer leads to a program that is run in the image.
func TestProgramName(t *testing.T) {
	const ld = "/usr/lib/gcc-cross/riscv64-linux-gnu/12/../../../../riscv64-linux-gnu/bin/ld\n"
	for name, tt := range map[string]struct{ said, word, answer, want string }{
		"of a target":            {"riscv64-linux-gnu", "-print-prog-name=ld", ld, "riscv64-linux-gnu-ld\n"},
		"as the build says it":   {"riscv64-unknown-linux-gnu", "--print-prog-name=ld", ld, "riscv64-unknown-linux-gnu-ld\n"},
		"a bare compiler's":      {"", "-print-prog-name=ar", "/usr/bin/ar\n", "ar\n"},
		"with its target":        {"riscv64-linux-gnu", "-print-prog-name=nm", "/usr/bin/riscv64-linux-gnu-nm\n", "riscv64-linux-gnu-nm\n"},
		"llvm's, for any target": {"riscv64-linux-gnu", "-print-prog-name=llvm-ar", "/usr/lib/llvm-14/bin/llvm-ar\n", "llvm-ar\n"},
		"not found":              {"riscv64-linux-gnu", "-print-prog-name=ld", "ld\n", "ld\n"},
		"no program of ours":     {"riscv64-linux-gnu", "-print-prog-name=cc1", "/usr/libexec/cc1\n", "/usr/libexec/cc1\n"},
		"another question":       {"riscv64-linux-gnu", "-print-file-name=ld", "/usr/x/ld\n", "/usr/x/ld\n"},
		"two answers":            {"riscv64-linux-gnu", "-print-prog-name=ld", "/usr/x/ld\n/usr/x/ld\n", "/usr/x/ld\n/usr/x/ld\n"},
	} {
		p := &Command{said: tt.said, task: &task.Task{Kind: task.Question}, s: &session.Session{Client: &local.Client{Request: local.Request{Args: []string{"gcc", tt.word}}}}}
		res := broker.Result{Stdout: []byte(tt.answer)}
		p.programName(&res)
		if got := string(res.Stdout); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
