package fleet

import (
	"errors"
	"testing"

	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/toolchains"
)

// A question for the status connects to nothing and starts nothing: not the
// helper inside the agent, which would probe every compiler of the machine.
func TestStatusStartsNothing(t *testing.T) {
	dialed := 0
	f := New(Options{Dial: func(hostlist.Host) (Link, error) {
		dialed++
		return Link{}, errors.New("refused")
	}})
	defer f.Close()
	hosts, err := hostlist.Parse("grpc://a:1")
	if err != nil {
		t.Fatal(err)
	}
	list := append(hosts.Entries, hostlist.Embedded(toolchains.Identical))
	got := f.Status(list)
	if dialed > 0 || len(got) != 2 || got[0].State != "unused" || got[1].State != "unused" || got[1].Address != "embedded" {
		t.Errorf("%d dialed, status %+v", dialed, got)
	}
	f.Reach(t.Context(), list[:1])
	if got = f.Status(list); dialed != 1 || got[0].State != "down" || got[1].State != "unused" {
		t.Errorf("after the first is known: %d dialed, status %+v", dialed, got)
	}
}
