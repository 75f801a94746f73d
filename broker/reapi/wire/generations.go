package wire

// generations is a map that is bounded by the size of what is in it, and forgets
// first what was not looked for lately: what is found moves to the young ones, and
// when these are full, they become the old ones and the old ones go. The zero value
// with a bound is ready for use.
type generations[K comparable, V any] struct {
	bound      int64 // of one generation; both together have twice as much
	young, old map[K]sized[V]
	size       int64 // of the young ones
}

type sized[V any] struct {
	value V
	size  int64
}

func (g *generations[K, V]) get(k K) (v V, ok bool) {
	if e, ok := g.young[k]; ok {
		return e.value, true
	}
	e, ok := g.old[k]
	if ok {
		g.put(k, e.value, e.size)
	}
	return e.value, ok
}

func (g *generations[K, V]) put(k K, v V, size int64) {
	if g.size += size; g.young == nil || g.size > g.bound {
		g.young, g.old, g.size = map[K]sized[V]{}, g.young, size
	}
	g.young[k] = sized[V]{v, size}
}
