package catalog

import (
	"testing"

	"github.com/crosscc/crosscc/images/imagestore"
)

func TestProgressText(t *testing.T) {
	for want, p := range map[string]imagestore.Progress{
		"fetch: 0 of 80 MiB":  {Stage: "fetch", Total: 80 << 20},
		"fetch: 12 of 80 MiB": {Stage: "fetch", Done: 12<<20 + 1, Total: 80 << 20},
		"unpack: 3 MiB":       {Stage: "unpack", Done: 3 << 20},
	} {
		if got := ProgressText(p); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
}
