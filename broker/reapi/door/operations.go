package door

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/broker"
)

const (
	// keepFinished and keepFor bound how many finished operations are kept
	// for WaitExecution, and how long: a client that lost its stream comes
	// back within seconds. Each holds at most 2 * rawText and its digests.
	keepFinished = 256
	keepFor      = time.Minute
)

// errNobodyWaits is the cause of a job's end when its last client is gone.
var errNobodyWaits = errors.New("nobody waits for the job any more")

// An operation is one execution, which one or more clients wait for.
type operation struct {
	name   string
	action broker.Digest
	scope  scope // whose it is
	cancel context.CancelCauseFunc
	done   chan struct{}         // closed when response is there
	answer *repb.ExecuteResponse // not changed after done

	waiters int       // guarded by operations.mu
	ended   time.Time // guarded by operations.mu
}

// operations are the running and the just finished ones. The zero value is
// ready for use.
type operations struct {
	mu       sync.Mutex // guards the fields below, and what operation says
	running  map[broker.Digest]*operation
	named    map[string]*operation
	finished []*operation // oldest first
}

// join returns the operation that runs the action, with the caller counted as
// a waiter, or one that start makes now. When alone is set the caller does not
// want what others started.
func (o *operations) join(action broker.Digest, sc scope, alone bool, start func(*operation) error) (*operation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if op := o.running[sc.key(action)]; op != nil && !alone {
		op.waiters++
		return op, nil
	}
	op := &operation{name: "operations/" + rand.Text(), action: action, scope: sc, done: make(chan struct{}), waiters: 1}
	if err := start(op); err != nil {
		return nil, err
	}
	if o.running == nil {
		o.running, o.named = map[broker.Digest]*operation{}, map[string]*operation{}
	}
	o.named[op.name] = op
	if !alone {
		o.running[sc.key(action)] = op
	}
	return op, nil
}

// find returns a named operation, with the caller counted as a waiter.
func (o *operations) find(name string) (*operation, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire(time.Now())
	op, ok := o.named[name]
	if ok {
		op.waiters++
	}
	return op, ok
}

// leave is a waiter's last word: nobody waits, the job stops, and nobody can
// join it from now on.
func (o *operations) leave(op *operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	op.waiters--
	if op.waiters > 0 || !op.ended.IsZero() {
		return
	}
	o.forget(op)
	delete(o.named, op.name)
	op.cancel(errNobodyWaits)
}

// finish publishes the answer.
func (o *operations) finish(op *operation, answer *repb.ExecuteResponse) {
	o.mu.Lock()
	defer o.mu.Unlock()
	op.answer, op.ended = answer, time.Now()
	close(op.done)
	o.forget(op)
	if o.named[op.name] == op { // else nobody is left to ask for it
		o.finished = append(o.finished, op)
	}
	o.expire(op.ended)
}

// forget takes op from the index of what can be joined. mu is held.
func (o *operations) forget(op *operation) {
	if key := op.scope.key(op.action); o.running[key] == op {
		delete(o.running, key)
	}
}

// expire drops finished operations over the bounds. mu is held.
func (o *operations) expire(now time.Time) {
	for len(o.finished) > keepFinished || len(o.finished) > 0 && now.Sub(o.finished[0].ended) > keepFor {
		delete(o.named, o.finished[0].name)
		o.finished = o.finished[1:]
	}
}
