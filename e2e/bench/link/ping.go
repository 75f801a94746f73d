package link

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

// pingLimit bounds one answer; no shape of ours is that slow.
const pingLimit = 5 * time.Second

// ping is the median time of n answers from whoever echoes at the other end.
func ping(ctx context.Context, conn net.Conn, n int) (time.Duration, error) {
	var times []time.Duration
	for range n {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		begin := time.Now()
		if err := conn.SetDeadline(begin.Add(pingLimit)); err != nil {
			return 0, err
		}
		var b [8]byte
		if _, err := conn.Write(b[:]); err != nil {
			return 0, fmt.Errorf("measure the round trip: %w", err)
		}
		if _, err := conn.Read(b[:]); err != nil {
			return 0, fmt.Errorf("measure the round trip: %w", err)
		}
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
