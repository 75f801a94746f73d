package helper

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/helper/views"
)

const (
	// viewsPerSlot is how many views are kept for each job slot. The jobs of one
	// build share most headers; a few more let two builds take turns, and C and
	// C++ in one.
	viewsPerSlot = 4
	// defaultViewBytes is Options.ViewBytes unless it says otherwise.
	defaultViewBytes = 2 << 30
)

// openPools makes the pools of views, the fastest first.
func openPools(o Options) ([]*views.Pool, error) {
	bytes := o.ViewBytes
	if bytes <= 0 {
		bytes = defaultViewBytes
	}
	var pools []*views.Pool
	if o.Memory != "" {
		// Half of the memory is for views that are in use, whatever clients send.
		p, err := views.New(views.Options{
			Dir: o.Memory, Free: viewsPerSlot * o.Slots, Bytes: o.MemoryBytes, Each: o.MemoryBytes / int64(2*o.Slots),
		})
		if err != nil {
			return nil, err
		}
		pools = append(pools, p)
	}
	p, err := views.New(views.Options{Dir: o.Views, Free: viewsPerSlot * o.Slots, Bytes: bytes})
	return append(pools, p), err
}

// view gives a directory that shows a tree; done gives it back.
func (h *Helper) view(ctx context.Context, root *broker.Dir) (dir string, done func(), err error) {
	for i, pool := range h.pools {
		v, err := pool.Take(ctx, root)
		if err == nil {
			return v.Path(), func() { pool.Return(v) }, nil
		}
		if bad, ok := errors.AsType[*views.Malformed](err); ok {
			return "", nil, broker.Refusef(ReasonRejected, "%v", bad)
		}
		full := errors.Is(err, views.ErrTooLarge) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM)
		if !full || i == len(h.pools)-1 {
			return "", nil, err
		}
	}
	return "", nil, errClosed
}
