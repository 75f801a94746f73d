// Package door is where a helper, or rather the broker.Runner in its Backend, takes
// jobs by the Remote Execution API. The other end is package reapi, which tells the two
// ways of a job.
//
// A newcomer starts with Server, then with execution.Execute (execution.go) and
// watcher.Run (run.go), by which jobs come; both share operations.go, the jobs that run,
// and alias.go, the results that are kept.
//
// The server takes API versions 2.0 to 2.12, SHA-256, any instance name (there is
// one store behind them all), blobs plain and compressed with zstd; it denies
// UpdateActionResult.
package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/bazelbuild/remote-apis/build/bazel/semver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is bounded here
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/cas"
	"github.com/crosscc/crosscc/broker/reapi/helperpb"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/broker/store"
)

const (
	// handshakeTime bounds a connection's first messages (design section 8).
	handshakeTime = 10 * time.Second
	// maxStreams bounds the calls of one connection: a client of -j200 has one
	// or two a job.
	maxStreams = 512
	// maxActions bounds the calls of Execute at one time, from all clients:
	// each holds its job's expanded tree.
	maxActions = 256
	// maxRequestFields bounds the fields of a request, which may be 5 MiB of
	// two-byte ones: the digests of one FindMissingBlobs, and some more.
	maxRequestFields = 64 << 10
	// maxHeaders bounds the headers of one call, in bytes.
	maxHeaders = 64 << 10
	// linger is how long a draining server still hands out the outputs of its
	// last jobs.
	linger = time.Second
)

// errClosed is the cause of everything that Close stops.
var errClosed = errors.New("server is closed")

// A Backend is what a server serves from.
type Backend struct {
	// Run runs the jobs. Required.
	Run broker.Runner
	// Key says under which text the result of a job is kept; nil: it can't be told.
	Key func(ctx context.Context, j *broker.Job) (string, error)
	// Pack takes an image of compilers that a peer has sent, a blob of the store, to
	// serve that peer; nil: none are taken.
	Pack func(ctx context.Context, from broker.Peer, d broker.Digest, say func(string)) error
	// Heard is told the name of a peer with packs whenever it has something done,
	// though it be answered without a run; nil: nobody keeps that.
	Heard func(peer string)
	// Store holds inputs, outputs and alias records. Required.
	Store *store.Store
	// State is the helper's state and a channel that is closed when it
	// changes. Required.
	State func() (broker.State, <-chan struct{})
	// Logf gets what went wrong on this machine; nil drops it.
	Logf func(format string, args ...any)
}

// Options are a server's settings; the zero value is well for use.
type Options struct {
	// Idle ends an upload that brings nothing for so long; 0 means 1 minute.
	Idle time.Duration
	// Beat is how often a stream without news says that the server lives;
	// 0 means 10 seconds. Clients' idle bounds must be longer.
	Beat time.Duration
	// Pace is how often the load of the helper is told to those who watch, at
	// most; 0 means half a second.
	Pace time.Duration
}

// A Server is the REAPI door of a helper. Drain finishes it, Close stops it;
// either may follow the other.
type Server struct {
	b     Backend
	o     Options
	grpc  *grpc.Server
	ops   operations
	tools toolset

	ctx     context.Context // ended by Close: stop now
	stop    context.CancelCauseFunc
	storage *cas.Service
	zstd    cas.Zstd
	source  wire.Source // the store, as actions are read from it

	admitted chan struct{} // a token for each Execute that is served

	mu       sync.Mutex // guards the fields below
	draining bool
	drained  chan struct{}  // closed by Drain and Close: Watch tells its clients
	gone     chan struct{}  // closed when streams of Watch must end
	jobs     sync.WaitGroup // Add only while mu is held and !draining
	ended    time.Time      // when the last job did
}

// New makes a server that nobody can reach until Serve.
func New(b Backend, o Options) *Server {
	if b.Logf == nil {
		b.Logf = func(string, ...any) {}
	}
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	if o.Beat == 0 {
		o.Beat = 10 * time.Second
	}
	if o.Pace == 0 {
		o.Pace = time.Second / 2
	}
	ctx, stop := context.WithCancelCause(context.Background())
	s := &Server{b: b, o: o, ctx: ctx, stop: stop, admitted: make(chan struct{}, maxActions), drained: make(chan struct{}), gone: make(chan struct{})}
	s.source = cas.SourceOf(b.Store)
	s.source.Folders = wire.NewFolders()
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(wire.MaxMessage),
		grpc.ForceServerCodecV2(boundedCodec{encoding.GetCodecV2("proto")}),
		grpc.MaxConcurrentStreams(maxStreams),
		// As the client's: grpc's own search goes as high, and has the client answer
		// a ping in each job.
		grpc.InitialWindowSize(wire.Window), grpc.InitialConnWindowSize(wire.ConnWindow),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 15 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	repb.RegisterCapabilitiesServer(s.grpc, capabilities{})
	s.storage = cas.Register(s.grpc, b.Store, o.Idle)
	repb.RegisterActionCacheServer(s.grpc, &actionCache{s: s})
	repb.RegisterExecutionServer(s.grpc, &execution{s: s})
	helperpb.RegisterHelperServer(s.grpc, &watcher{s: s})
	return s
}

// Serve takes connections of l until Drain or Close, and closes it. It may be
// called for several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(l)
	if err == nil || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return fmt.Errorf("serve REAPI at %s: %w", l.Addr(), err)
}

// Drain takes no new jobs, lets the running ones end and their clients take
// the outputs, then ends all connections. When ctx ends first, it closes.
func (s *Server) Drain(ctx context.Context) error {
	s.depart()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.jobs.Wait()
		s.linger()
		s.leave()
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
		s.Close()
		return nil
	case <-ctx.Done():
		s.Close()
		<-done
		return fmt.Errorf("draining: %w", context.Cause(ctx))
	}
}

// Close stops jobs and connections, and returns when nothing of them runs.
func (s *Server) Close() {
	s.depart()
	s.stop(errClosed)
	s.leave()
	s.grpc.Stop()
	s.jobs.Wait()
	s.storage.Wait()
}

// linger waits while the client of the last job may still take its outputs.
func (s *Server) linger() {
	s.mu.Lock()
	left := time.Until(s.ended.Add(linger))
	s.mu.Unlock()
	select {
	case <-time.After(left):
	case <-s.ctx.Done():
	}
}

// depart refuses new jobs from now on.
func (s *Server) depart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		s.draining = true
		close(s.drained)
	}
}

// leave ends the streams that would never end by themselves.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.gone:
	default:
		close(s.gone)
	}
}

// begin admits one job; done must be called when it ended.
func (s *Server) begin() (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, status.Error(codes.Unavailable, "helper is draining")
	}
	s.jobs.Add(1)
	return s.end, nil
}

func (s *Server) end() {
	s.mu.Lock()
	s.ended = time.Now()
	s.mu.Unlock()
	s.jobs.Done()
}

// capabilities is the Capabilities service.
type capabilities struct {
	repb.UnimplementedCapabilitiesServer
}

// GetCapabilities says what the server can do; the instance does not matter.
func (capabilities) GetCapabilities(ctx context.Context, _ *repb.GetCapabilitiesRequest) (*repb.ServerCapabilities, error) {
	// Without it the client takes the longer way.
	_ = grpc.SetHeader(ctx, metadata.Pairs(wire.RunHeader, wire.RunVersion))
	sha256 := []repb.DigestFunction_Value{repb.DigestFunction_SHA256}
	zstd := []repb.Compressor_Value{repb.Compressor_ZSTD}
	return &repb.ServerCapabilities{
		CacheCapabilities: &repb.CacheCapabilities{
			DigestFunctions:               sha256,
			ActionCacheUpdateCapabilities: &repb.ActionCacheUpdateCapabilities{UpdateEnabled: false},
			MaxBatchTotalSizeBytes:        cas.MaxBatch,
			// The root of a tree is the client's: its links lead where they lead there.
			SymlinkAbsolutePathStrategy:     repb.SymlinkAbsolutePathStrategy_ALLOWED,
			SupportedCompressors:            zstd,
			SupportedBatchUpdateCompressors: zstd,
		},
		ExecutionCapabilities: &repb.ExecutionCapabilities{
			DigestFunction:  repb.DigestFunction_SHA256,
			DigestFunctions: sha256,
			ExecEnabled:     true,
			// Both are in the tree, when they matter: mtime, and hard links.
			SupportedNodeProperties: wire.NodeProperties(),
		},
		LowApiVersion:  &semver.SemVer{Major: 2, Minor: wire.LowMinor},
		HighApiVersion: &semver.SemVer{Major: 2, Minor: wire.HighMinor},
	}, nil
}
