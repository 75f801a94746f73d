package agent

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker/agent/session"
	"github.com/crosscc/crosscc/broker/monitor"
)

// answer is what crossctl asked for, to be written as JSON.
func (a *Agent) answer(s *session.Session) (any, error) {
	switch s.Request.Verb {
	case "status":
		return a.status(s), nil
	case "helpers":
		set, err := a.settings(s)
		if err != nil {
			return nil, err
		}
		return a.sender.Fill(a.fleet.Reach(s.Context(), set.Hosts)), nil
	case "explain":
		return a.explain(s)
	case "key":
		return a.key(s)
	case "native":
		return a.compilers.NativeFlags(s)
	case "verify":
		return a.prover.Verification(s.Request.Args)
	case "stop":
		return struct{}{}, nil
	}
	return nil, fmt.Errorf("agent knows no %q", s.Request.Verb)
}

// status is a question: it starts nothing, not even the helper inside the agent.
func (a *Agent) status(s *session.Session) monitor.Status {
	size, held := a.slots.Figures()
	st := monitor.Status{
		Agent: monitor.AgentStatus{
			Build: a.o.Build, PID: os.Getpid(), Socket: a.o.Dirs.Socket, Uptime: int64(time.Since(a.began).Seconds()),
			LocalSlots: size, LocalRunning: held,
		},
		Helpers: []monitor.HelperStatus{},
	}
	a.counters.Fill(&st)
	st.Distrusted = a.prover.Distrusted()
	if set, err := a.settings(s); err != nil {
		st.Notes = append(st.Notes, err.Error())
	} else {
		st.Helpers = a.sender.Fill(a.fleet.Status(set.Hosts))
	}
	return st
}

func totalMemory() uint64 {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return 0
	}
	return uint64(si.Totalram) * uint64(si.Unit)
}
