package door

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/reapi/wire"
	"github.com/crosscc/crosscc/toolchains"
)

// errNoAlias says that an action has no usable record.
var errNoAlias = errors.New("no result is kept for this action")

// actionCache is the ActionCache service. A record is an alias: what this
// server got when it ran that very action itself. No client writes one.
type actionCache struct {
	repb.UnimplementedActionCacheServer
	s *Server
}

// GetActionResult answers from an alias record.
func (a *actionCache) GetActionResult(ctx context.Context, r *repb.GetActionResultRequest) (*repb.ActionResult, error) {
	digest, err := wire.DigestFromProto(r.ActionDigest)
	if err == nil {
		err = wire.CheckFunction(r.DigestFunction)
	}
	if err != nil {
		return nil, wire.StatusOf(err).Err()
	}
	result, err := a.s.alias(digest, a.s.scopeOf(ctx))
	if err != nil {
		return nil, status.Errorf(codes.NotFound, "action %s: %v", digest, err)
	}
	return a.s.inlinedResult(result, r.InlineOutputFiles), nil
}

// UpdateActionResult is denied: a client's claim never becomes a cache entry.
func (a *actionCache) UpdateActionResult(context.Context, *repb.UpdateActionResultRequest) (*repb.ActionResult, error) {
	return nil, status.Error(codes.PermissionDenied, "clients may not write results here")
}

// aliasKey is where the record of an action lies: a name space of its own, so
// that no blob of a client's choice is the key of another kind of record.
func aliasKey(action broker.Digest) broker.Digest {
	return broker.DigestOf([]byte("crosscc alias v1\n" + action.String()))
}

// A toolset is a text that changes when any toolchain of this helper does:
// which one serves an action depends on all of them. A record starts with it.
type toolset struct {
	mu sync.Mutex // guards by
	by map[scope]toolsOf
}

type toolsOf struct {
	list []toolchains.Toolchain // which nobody changes
	text []byte
}

// toolset is the text of what the helper has now for a scope.
func (s *Server) toolset(sc scope) []byte {
	all, _ := s.b.State()
	state := all.For(string(sc))
	s.tools.mu.Lock()
	defer s.tools.mu.Unlock()
	if s.tools.by == nil {
		s.tools.by = map[scope]toolsOf{}
	}
	now, ok := s.tools.by[sc]
	if !ok { // peers come, and so they go
		maps.DeleteFunc(s.tools.by, func(old scope, _ toolsOf) bool {
			_, here := all.Peers[string(old)]
			return old != "" && !here
		})
	}
	if !ok || !sameSlice(now.list, state.Toolchains) {
		now = toolsOf{state.Toolchains, toolsetText(state)}
		s.tools.by[sc] = now
	}
	return now.text
}

func toolsetText(state broker.State) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "crosscc %q\n", state.Version)
	for _, t := range state.Toolchains {
		// An image brings its own C library, which no fingerprint shows.
		fmt.Fprintf(h, "toolchain %q %q %q %s\n", t.Image, t.Path, t.CXXPath, t.Identity.Text())
		for _, role := range slices.Sorted(maps.Keys(t.Fingerprint)) {
			fmt.Fprintf(h, "program %q %s\n", role, t.Fingerprint[role])
		}
	}
	return fmt.Appendf(nil, "crosscc alias v2 toolset %x\n", h.Sum(nil))
}

// alias is the kept result of an action, everything that it names in the store.
func (s *Server) alias(action broker.Digest, sc scope) (*repb.ActionResult, error) {
	record, err := s.b.Store.Action(aliasKey(sc.key(action)))
	if err != nil {
		return nil, errNoAlias
	}
	data, ok := bytes.CutPrefix(record, s.toolset(sc))
	if !ok {
		return nil, errors.New("the result was made with toolchains that changed since")
	}
	result := new(repb.ActionResult)
	if err := proto.Unmarshal(data, result); err != nil {
		return nil, fmt.Errorf("record is damaged: %w", err)
	}
	blobs, err := blobsOf(result)
	if err != nil {
		return nil, fmt.Errorf("record is damaged: %w", err)
	}
	if missing := s.b.Store.Missing(blobs); len(missing) > 0 {
		return nil, fmt.Errorf("its output %s is not kept any more", missing[0])
	}
	return result, nil
}

// putAlias records what a run gave, unless a toolchain changed in the middle.
func (s *Server) putAlias(action broker.Digest, sc scope, tools []byte, result *repb.ActionResult) {
	if !bytes.Equal(tools, s.toolset(sc)) {
		return
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(result)
	if err == nil {
		err = s.b.Store.PutAction(aliasKey(sc.key(action)), append(slices.Clip(tools), data...))
	}
	if err != nil { // the result is good; only the next client has to ask again
		s.b.Logf("result of action %s not kept: %v", action, err)
	}
}

// blobsOf are the digests that a result names, the empty one left out.
func blobsOf(r *repb.ActionResult) ([]broker.Digest, error) {
	var named []*repb.Digest
	for _, f := range r.OutputFiles {
		named = append(named, f.Digest)
	}
	for _, d := range []*repb.Digest{r.StdoutDigest, r.StderrDigest} {
		if d != nil {
			named = append(named, d)
		}
	}
	blobs, err := wire.DigestsFromProto(named)
	return slices.DeleteFunc(blobs, wire.Empty), err
}
