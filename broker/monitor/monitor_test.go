package monitor

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/toolchains"
)

// Each job is counted once, and what scripts rely on is there from the start.
func TestCounters(t *testing.T) {
	var c Counters
	shape := func() string {
		var s Status
		c.Fill(&s)
		s.Helpers = []HelperStatus{}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, want := range []string{
		`"jobs":{"remote":0,"cached":0,"local":0,"failed":0,`, `"matches":{"identical":0,"calibrated":0,"lines":0}`,
		`"local_reasons":{}`, `"helpers":[]`,
	} {
		if got := shape(); !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	c.Remote(toolchains.Identical, false)
	c.Remote(toolchains.Calibrated, true)
	c.Remote(toolchains.Lines, false)
	c.Local("link", "a.out")
	c.Local("link", "b.out")
	c.Failed()
	for _, want := range []string{
		`"jobs":{"remote":2,"cached":1,"local":2,"failed":1,`, `"matches":{"identical":1,"calibrated":1,"lines":1}`,
		`"local_reasons":{"link":2}`, `"local_last":{"link":"b.out"}`,
	} {
		if got := shape(); !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}
