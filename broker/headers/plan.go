package headers

import (
	"encoding/binary"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/headers/files"
	"github.com/crosscc/crosscc/broker/headers/lex"
)

// A world is what is known below one root. Whoever has a View of it may use the
// plans.
type world struct {
	*files.World
	used int64 // the scan that used it last; guarded by the Scanner

	plans map[string]*plan // by search path
	epoch int64            // in which they were made
}

// Bounds of what a Scanner remembers beside texts. A world beyond its bound is
// forgotten: to find all again costs a few milliseconds.
const (
	maxWorlds    = 4
	maxWorldCost = 24 << 20 // bytes, roughly, of all of them
)

// world is what is known below a root.
func (s *Scanner) world(root int, image bool) *world {
	id, ok := files.IDOf(root)
	key := worldKey{id, image}
	if !ok {
		return s.newWorld(key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses++
	w := s.worlds[key]
	if w == nil {
		w = s.newWorld(key)
		s.worlds[key] = w
	}
	w.used = s.uses
	s.tidy()
	if s.worlds[key] == nil {
		w = s.newWorld(key)
		w.used = s.uses
		s.worlds[key] = w
	}
	return w
}

// A worldKey tells worlds apart: with an image, parts of a root are not seen.
type worldKey struct {
	files.RootID
	image bool
}

func (s *Scanner) newWorld(key worldKey) *world {
	w := &world{World: s.cache.World()}
	if key.image {
		w.Show(broker.Shown)
	}
	return w
}

// tidy forgets worlds until the rest is within the bounds, first those that were
// not used for the longest time.
func (s *Scanner) tidy() {
	for {
		var cost int64
		var oldest worldKey
		for id, w := range s.worlds {
			cost += w.Cost()
			if o := s.worlds[oldest]; o == nil || w.used < o.used {
				oldest = id
			}
		}
		if len(s.worlds) <= maxWorlds && cost <= maxWorldCost {
			return
		}
		delete(s.worlds, oldest)
	}
}

// plan is what is known of a search path in an epoch.
func (w *world) plan(epoch int64, p searchPath) *plan {
	if w.plans == nil || w.epoch != epoch {
		w.plans, w.epoch = map[string]*plan{}, epoch
	}
	key := p.key()
	found := w.plans[string(key)]
	if found == nil {
		found = &plan{world: w, places: map[query]*place{}, nodes: map[state]*node{}}
		w.plans[string(key)] = found
	}
	return found
}

// key tells search paths apart.
func (p searchPath) key() []byte {
	key := make([]byte, 0, 4*len(p.dirs)+8)
	key = binary.AppendVarint(key, int64(p.bracket))
	if p.clang {
		key = append(key, 'c')
	}
	if p.noSource {
		key = append(key, 'n')
	}
	for _, d := range p.dirs {
		key = binary.NativeEndian.AppendUint32(key, uint32(d.Number()))
	}
	return key
}

// A plan remembers, for one search path, which name led where, and which names
// each file holds. It is true as long as nothing changes but contents: a change
// of names ends the epoch, and the plan with it.
type plan struct {
	world  *world
	places map[query]*place
	nodes  map[state]*node
	found  int32 // places numbered so far
}

// Where a file was found, when not in a directory of the search path; and nowhere
// in the search path.
const (
	beside  = -1 // in the directory of the file that names it
	direct  = -2 // by an absolute name, or given on the command line
	nowhere = -1
)

// A query is a name and where it is looked for: from a directory on, or nil, and
// then in the search path from the directory start on.
type query struct {
	from  *files.Dir
	start int
	name  string
}

// A place is the answer to a query: a hit, or none, with the index of the search
// directory that it was made in, and what was met on the way.
type place struct {
	files.Hit
	index int
	id    int32 // -1 when the answer is good for one attempt only
	looks int
	trail files.Trail
	nodes [files.AsBytes]*node // by reading
}

// A state is a file in the circumstances that decide what its names lead to.
type state struct {
	File  *files.File // nil for the command line
	From  *files.Dir
	index int
	as    files.Reading
}

// A node is a file in one state, with where its names lead.
type node struct {
	state
	id     int32
	facts  *lex.Facts // which the rest is made of; nil when it is not kept
	kids   []kid
	macros []lex.Ref
}

// A kid is where a name leads, and how the file there is read.
type kid struct {
	*place
	as files.Reading
}

// keep remembers where the node's names lead, if that is more than a moment's
// truth.
func (n *node) keep(facts *lex.Facts, kids []kid, macros []lex.Ref) bool {
	n.facts = nil
	for _, k := range kids {
		if k.id < 0 {
			return false
		}
	}
	n.facts, n.kids, n.macros = facts, kids, macros
	return true
}

// node is the node of a place's file.
func (p *plan) node(at *place, as files.Reading) *node {
	n := at.nodes[as]
	if n == nil {
		st := state{at.File, at.From, at.index, as}
		if n = p.nodes[st]; n == nil {
			n = &node{state: st, id: int32(len(p.nodes))}
			p.nodes[st] = n
			p.world.Spend(250)
		}
		at.nodes[as] = n
	}
	return n
}

// place answers a query, from memory where that holds.
func (s *scan) place(q query) (*place, error) {
	p := s.plan.places[q]
	if p != nil {
		return p, s.use(p)
	}
	if p = s.once[q]; p != nil {
		return p, nil
	}
	p = &place{id: -1, looks: -s.view.Lookups()}
	s.view.Record()
	err := s.find(p, q)
	trail, proven := s.view.Recorded()
	if err != nil {
		return nil, err
	}
	if !proven {
		s.once[q] = p
		return p, nil
	}
	p.id, p.trail, p.looks = s.plan.found, trail, p.looks+s.view.Lookups()
	s.plan.found++
	s.plan.places[q] = p
	s.used.Add(p.id)
	s.view.Spend(250 + len(q.name) + 8*len(trail))
	return p, nil
}

// use makes sure that a place is as it was.
func (s *scan) use(p *place) error {
	if p.id < 0 || !s.used.Add(p.id) {
		return nil
	}
	if err := s.view.Charge(p.looks); err != nil {
		return err
	}
	return s.view.Again(p.trail)
}

// find looks for a file as compilers do.
func (s *scan) find(p *place, q query) (err error) {
	if q.from != nil {
		p.index = beside
		if q.start == nowhere {
			p.index = direct
		}
		if p.Hit, err = s.view.Find(q.from, q.name); err != nil || p.File != nil || q.start == nowhere {
			return err
		}
	}
	for i := q.start; i < len(s.search.dirs); i++ {
		p.index = i
		if p.Hit, err = s.view.Find(s.search.dirs[i], q.name); err != nil || p.File != nil {
			return err
		}
	}
	return nil
}
