package fleet

import (
	"context"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains"
)

// Status tells of each host of the list. With wait it gives hosts that are
// still being connected a bounded time.
func (f *Fleet) Status(ctx context.Context, hosts []config.Host, wait bool) []monitor.HelperStatus {
	ms := f.membersOf(hosts)
	if wait {
		f.await(ctx, ms, func() bool { return false })
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]monitor.HelperStatus, 0, len(ms))
	for _, m := range ms {
		list = append(list, m.status())
	}
	return list
}

// status is the member in words. The fleet's mutex is held.
func (m *member) status() monitor.HelperStatus {
	s := monitor.HelperStatus{
		Address: m.address, State: string(m.phase), Version: m.state.Version,
		Sandbox: m.state.Sandbox, Slots: m.state.Slots, Jobs: m.jobs,
	}
	if m.err != nil {
		s.Error = m.err.Error()
	}
	for _, tc := range m.state.Toolchains {
		s.Toolchains = append(s.Toolchains, toolchainStatus(tc))
	}
	return s
}

func toolchainStatus(tc toolchains.Toolchain) monitor.ToolchainStatus {
	s := monitor.ToolchainStatus{
		Identity: tc.Identity.String(), Family: tc.Family.String(), Target: tc.Target,
		Version: tc.Version, Package: tc.Package, Assembler: tc.Assembler,
		Defaults: tc.Defaults, Path: tc.Driver(), Targets: tc.Targets,
	}
	for _, l := range tc.Languages {
		s.Languages = append(s.Languages, l.String())
	}
	return s
}
