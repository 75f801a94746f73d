package daemon

import (
	"bytes"
	stdlog "log"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker/ccache"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/store"
	"github.com/crosscc/crosscc/broker/trust"
)

const (
	// httpHead bounds how long a peer takes for its request line and headers.
	httpHead = 10 * time.Second
	// httpWhole bounds a whole request, and its answer: a value at ccache's
	// limit over a line of 20 Mbit/s.
	httpWhole = 2 * time.Minute
	// httpIdle is how long a connection may wait for its next request. ccache
	// holds its own while the compiler runs, and opens another when it is gone.
	httpIdle = 30 * time.Second
	// maxHTTPHead bounds a request's headers, in bytes.
	maxHTTPHead = 16 << 10
	// httpPerAddress is how many connections one machine may have: each ccache
	// of a large build has its own for as long as its compile takes.
	httpPerAddress = 128
)

// httpDoor is the door for what is not a compile: ccache's storage.
func httpDoor(addr config.Address, st *store.Store, log logrus.FieldLogger) doorAt {
	mux := http.NewServeMux()
	mux.Handle(ccache.Path, ccache.Handler(st, log.Infof))
	srv := httpServer(mux, log)
	return doorAt{
		name: "http", addr: addr, limits: trust.Limits{PerAddress: httpPerAddress, PerLoopback: httpPerAddress},
		serve: srv.Serve, drain: srv.Shutdown, close: func() { _ = srv.Close() },
	}
}

// httpServer is a server whose every wait is bounded.
func httpServer(h http.Handler, log logrus.FieldLogger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: httpHead,
		ReadTimeout:       httpWhole,
		WriteTimeout:      httpWhole,
		IdleTimeout:       httpIdle,
		MaxHeaderBytes:    maxHTTPHead,
		ErrorLog:          stdlog.New(logWriter{log}, "", 0),
	}
}

// logWriter takes what net/http has to say: a line at a time.
type logWriter struct{ log logrus.FieldLogger }

func (w logWriter) Write(line []byte) (int, error) {
	w.log.Info(string(bytes.TrimSpace(line)))
	return len(line), nil
}
