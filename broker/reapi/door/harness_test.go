package door

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi"
	"github.com/crosscc/crosscc/broker/reapi/reapitest"
)

// A bench is a real server on a loopback listener with a real store and a
// runner that a test can replace, and a real client.
type bench struct {
	*reapitest.Helper
	t      testing.TB
	server *Server
	addr   string
	client *reapi.Client
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{Helper: reapitest.New(t), t: t}
	b.server = New(Backend{Run: b.Run, Store: b.Store, State: b.State, Logf: t.Logf}, Options{Idle: 20 * time.Second, Beat: 50 * time.Millisecond})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(l) }()
	t.Cleanup(func() {
		b.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	b.client = dial(t, b.addr, reapi.ClientOptions{Idle: 30 * time.Second})
	return b
}

func dial(t testing.TB, addr string, o reapi.ClientOptions) *reapi.Client {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := reapi.Dial(addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// raw is a connection for a client made by hand.
func (b *bench) raw() *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///"+b.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

func (b *bench) mustRun(j *broker.Job) broker.Result {
	b.t.Helper()
	res, err := b.client.Run(context.Background(), j)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}
