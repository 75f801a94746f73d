package fleet

import (
	"context"

	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/toolchains"
)

// unused is where a host stands that no job was for yet: it is no member.
const unused phase = "unused"

// Status tells of each host of the list what is known now. It is a question: it
// connects to nothing and starts nothing.
func (f *Fleet) Status(hosts []hostlist.Host) []monitor.HelperStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]monitor.HelperStatus, 0, len(hosts))
	for _, h := range hosts {
		if m := f.members[h.Address()]; m != nil {
			list = append(list, m.status())
		} else {
			list = append(list, monitor.HelperStatus{Address: h.Address(), State: string(unused)})
		}
	}
	return list
}

// Reach is Status after each host was connected to, or a bounded time has
// passed.
func (f *Fleet) Reach(ctx context.Context, hosts []hostlist.Host) []monitor.HelperStatus {
	f.await(ctx, f.membersOf(hosts), func() bool { return false })
	return f.Status(hosts)
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
	for _, i := range m.state.Images {
		s.Images = append(s.Images, monitor.ImageStatus{Name: i.Name, State: string(i.Phase), Detail: i.Detail, Toolchains: i.Toolchains})
	}
	return s
}

func toolchainStatus(tc toolchains.Toolchain) monitor.ToolchainStatus {
	s := monitor.ToolchainStatus{
		Identity: tc.Identity.String(), Family: tc.Family.String(), Target: tc.Target,
		Version: tc.Version, Package: tc.Package, Assembler: tc.Assembler,
		Defaults: tc.Defaults, Path: tc.Driver(), Targets: tc.Targets, Image: tc.Image,
	}
	for _, l := range tc.Languages {
		s.Languages = append(s.Languages, l.String())
	}
	return s
}

// Explain says, for people, which helpers a job could go to, and what is known against
// each.
func Explain(list []Prospect) []monitor.HelperExplanation {
	var out []monitor.HelperExplanation
	for _, p := range list {
		out = append(out, monitor.HelperExplanation{Address: p.Address, Match: p.Match.String(), Reason: p.Text, Avoid: p.Avoid})
	}
	return out
}
