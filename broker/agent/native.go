package agent

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
	"github.com/crosscc/crosscc/toolchains"
)

// resolve finds out what -march=native and its kin mean here, before anything is
// keyed or sent (design: native). For gcc on x86 the command stays as it is and
// the job says it; all others get a command with explicit words.
func (a *Agent) resolve(c *compile) error {
	if !c.cmd.Native() {
		return nil
	}
	n, err := a.native(c)
	if err != nil {
		return c.failed(broker.Reason(option.Native), "ask "+c.program, err)
	}
	// Words that are sizes and nothing else stay: without any the helper would not
	// know native.
	if fewer := withoutSizes(n.Specs); !c.settings.NativeParams && len(fewer) > 0 {
		c.unlike = len(fewer) < len(n.Specs)
		n.Specs = fewer
	}
	c.native = n
	if len(n.Specs) > 0 {
		return nil
	}
	if c.split != nil {
		return reason.Stay(broker.Reason(option.Native), "its words are spelt out, which is done for one source in a command only")
	}
	return c.readWords(c.cmd.Explicit(n.Words...), c.toolchain.Family)
}

// native asks the compiler what native means in the command, unless it was asked
// before.
func (a *Agent) native(c *compile) (toolchains.Native, error) {
	cpu, err := a.cpu(c)
	if err != nil {
		return toolchains.Native{}, err
	}
	if l := c.cmd.Language(); c.toolchain.Family == argv.Clang && (l == argv.Asm || l == argv.AsmCPP) {
		return toolchains.Native{}, errors.New("clang's assembler takes no list of features")
	}
	sys := c.system()
	sys.Run = func(ctx context.Context, p toolchains.Program) (toolchains.Output, error) {
		if slices.Contains(p.Args, "-###") {
			a.counters.NativeAsked()
		}
		return c.s.Ask(ctx, p)
	}
	return a.probes.Native(c.s.Context(), sys, c.nativeQuestion(cpu))
}

func (c *compile) nativeQuestion(cpu string) toolchains.NativeQuestion {
	q := toolchains.NativeQuestion{Path: c.program, Of: c.toolchain, CPU: cpu, Words: c.cmd.NativeWords()}
	if t := c.targetWord(); c.toolchain.Family == argv.Clang && t != "" && c.cmd.Target() == "" {
		q.Words = append([]string{"--target=" + t}, q.Words...)
	}
	return q
}

// cpu is what the compiler will see of the CPU: gcc for arm64 may be told to look
// elsewhere.
func (a *Agent) cpu(c *compile) (string, error) {
	cpu, err := a.cpus.Identity()
	if name := c.s.Getenv("GCC_CPUINFO"); name != "" && err == nil {
		var text []byte
		text, err = c.s.Files.ReadFile(c.s.Abs(name), session.MaxConfig)
		cpu += "\nGCC_CPUINFO " + string(text)
	}
	return cpu, err
}

// nativeFlags answers `crossctl native`, which makes a compile of its words.
func (a *Agent) nativeFlags(s *session.Session) (monitor.Native, error) {
	c := &compile{s: s, cpps: &a.cpps}
	if err := c.parse(); err != nil {
		return monitor.Native{}, err
	}
	if err := a.identify(c); err != nil {
		return monitor.Native{}, err
	}
	n, err := a.native(c)
	if err != nil {
		return monitor.Native{}, err
	}
	answer := monitor.Native{Compiler: c.program, Identity: c.toolchain.Identity.String(), Words: slices.Concat(n.Specs, n.Words)}
	answer.Flags, err = toolchains.NativeFlags(s.Context(), c.system(), c.nativeQuestion(""), n)
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
