package compile

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/argv/option"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent/reason"
	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains/drivers"
	"github.com/crosscc/crosscc/toolchains/native"
)

// Resolve finds out what -march=native and its kin mean here, before anything is
// keyed or sent (design: native). For gcc on x86 the command stays as it is and
// the job says it; all others get a command with explicit words.
func (k *Compilers) Resolve(c *Compile) error {
	if !c.Cmd.Native() {
		return nil
	}
	n, err := k.native(c)
	if err != nil {
		return c.Failed(broker.Reason(option.Native), "ask "+c.Program, err)
	}
	// Words that are sizes and nothing else stay: without any the helper would not
	// know native.
	if fewer := withoutSizes(n.Specs); !c.Settings.NativeParams && len(fewer) > 0 {
		c.Unlike = len(fewer) < len(n.Specs)
		n.Specs = fewer
	}
	c.Native = n
	if len(n.Specs) > 0 {
		return nil
	}
	if c.Split != nil {
		return reason.Stay(broker.Reason(option.Native), "its words are spelt out, which is done for one source in a command only")
	}
	return c.readWords(c.Cmd.Explicit(n.Words...), c.Toolchain.Family)
}

// native asks the compiler what native means in the command, unless it was asked
// before.
func (k *Compilers) native(c *Compile) (native.Answer, error) {
	cpu, err := k.cpu(c)
	if err != nil {
		return native.Answer{}, err
	}
	if l := c.Cmd.Language(); c.Toolchain.Family == argv.Clang && (l == argv.Asm || l == argv.AsmCPP) {
		return native.Answer{}, errors.New("clang's assembler takes no list of features")
	}
	sys := k.system(c)
	sys.Run = func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		if slices.Contains(p.Args, "-###") {
			k.Counters.NativeAsked()
		}
		return c.Session.Ask(ctx, p)
	}
	return native.Ask(c.Session.Context(), sys, c.nativeQuestion(cpu))
}

func (c *Compile) nativeQuestion(cpu string) native.Question {
	q := native.Question{Path: c.Program, Of: c.Toolchain, CPU: cpu, Words: c.Cmd.NativeWords()}
	if t := c.TargetWord(); c.Toolchain.Family == argv.Clang && t != "" && c.Cmd.Target() == "" {
		q.Words = append([]string{"--target=" + t}, q.Words...)
	}
	return q
}

// cpu is what the compiler will see of the CPU: gcc for arm64 may be told to look
// elsewhere.
func (k *Compilers) cpu(c *Compile) (string, error) {
	cpu, err := k.cpus.Identity()
	if name := c.Session.Getenv("GCC_CPUINFO"); name != "" && err == nil {
		var text []byte
		text, err = c.Session.Files.ReadFile(c.Session.Abs(name), session.MaxConfig)
		cpu += "\nGCC_CPUINFO " + string(text)
	}
	return cpu, err
}

// NativeFlags answers `crossctl native`, which makes a compile of its words.
func (k *Compilers) NativeFlags(s *session.Session) (monitor.Native, error) {
	c := &Compile{Session: s}
	if err := c.Parse(); err != nil {
		return monitor.Native{}, err
	}
	if err := k.Identify(c); err != nil {
		return monitor.Native{}, err
	}
	n, err := k.native(c)
	if err != nil {
		return monitor.Native{}, err
	}
	answer := monitor.Native{Compiler: c.Program, Identity: c.Toolchain.Identity.String(), Words: slices.Concat(n.Specs, n.Words)}
	answer.Flags, err = native.Flags(s.Context(), k.system(c), c.nativeQuestion(""), n)
	return answer, err
}

// withoutSizes takes the sizes of caches out: they differ between machines whose
// CPUs are one model, and within one machine between its virtual ones.
func withoutSizes(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		if words[i] == "--param" && i+1 < len(words) && strings.Contains(words[i+1], "-cache-") {
			i++
			continue
		}
		out = append(out, words[i])
	}
	return out
}
