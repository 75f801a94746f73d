package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crosscc/crosscc/e2e/dockerd"
)

// engine is the Docker Engine of this run, started when the first test asks for it.
// testMain ends it.
var engine struct {
	once sync.Once
	d    *dockerd.Daemon
	err  error
}

func startEngine() (*dockerd.Daemon, error) {
	engine.once.Do(func() { engine.d, engine.err = dockerd.Start(context.Background()) })
	return engine.d, engine.err
}

func stopEngine() error {
	if engine.d == nil {
		return nil
	}
	return engine.d.Stop()
}

var engineCommands = map[string]func(*testscript.TestScript, bool, []string){
	"engine":       useEngine,
	"image-helper": imageHelper,
}

// useEngine is `engine`: DOCKER_HOST names one.
func useEngine(ts *testscript.TestScript, _ bool, _ []string) {
	d, err := startEngine()
	ts.Check(err)
	ts.Setenv("DOCKER_HOST", d.Host())
}

// condition serves a script's [engine]: a Docker Engine can run here. A script that
// is skipped without one says so.
func condition(name string) (bool, error) {
	if name != "engine" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	_, err := startEngine()
	if errors.Is(err, dockerd.ErrNone) {
		return false, nil
	}
	return true, err
}
