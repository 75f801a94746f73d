package contender

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/crosscc/crosscc/e2e/bench/place"
)

// ccache compiles locally what it has not seen: it is beside us for its hits,
// and for what it adds to a compile.
func ccache() Contender {
	return Contender{
		Name: "ccache", modes: Cold + " " + Hit, quick: Hit, Local: true,
		Version: func(ctx context.Context, home string) (string, error) {
			return firstLine(ctx, home, "ccache", "--version")
		},
		Start: startCcache,
	}
}

func startCcache(_ context.Context, p *place.Place) (*Running, error) {
	dir := p.Client.File("ccache")
	env := []string{"CCACHE_DIR=" + dir, "CCACHE_CONFIGPATH=" + p.Client.File("ccache.conf")}
	if err := os.WriteFile(p.Client.File("ccache.conf"), nil, 0o644); err != nil {
		return nil, err
	}
	last := 0
	return &Running{
		Command: "ccache",
		Env:     func(int) []string { return env },
		Check: func(ctx context.Context, mode string, n int) (string, error) {
			text, err := p.Client.Ask(ctx, env, "ccache", "--print-stats")
			if err != nil {
				return "", err
			}
			all, err := ccacheHits(text)
			if err != nil {
				return "", err
			}
			since := all - last
			last = all
			if mode == Hit {
				return onlyOf("from the cache", since, n), nil
			}
			return onlyOf("not from the cache", n-since, n), nil
		},
		Stop: func(context.Context) error { return nil },
	}, nil
}

// ccacheHits adds up the hits of `ccache --print-stats`: lines of a name, a tab
// and a number.
func ccacheHits(text string) (int, error) {
	sum, found := 0, false
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name != "direct_cache_hit" && name != "preprocessed_cache_hit" {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("ccache --print-stats has the line %q", line)
		}
		sum, found = sum+n, true
	}
	if !found {
		return 0, fmt.Errorf("ccache --print-stats names no hits: %q", text)
	}
	return sum, nil
}
