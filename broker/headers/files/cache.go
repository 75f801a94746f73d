package files

import "sync"

// A cache keeps what was used last, within a bound. It is two maps: what is used
// moves to the young one, and when that holds half of the bound it becomes the
// old one, whose own content is forgotten.
type cache[K comparable, V any] struct {
	bound int // of the costs of all values

	mu         sync.Mutex // guards the fields below
	young, old map[K]costly[V]
	cost       int // of young
}

type costly[V any] struct {
	value V
	cost  int
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[k]
	if !ok {
		if e, ok = c.old[k]; ok {
			c.add(k, e)
		}
	}
	return e.value, ok
}

// put keeps v in the place of what was there.
func (c *cache[K, V]) put(k K, v V, cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k, costly[V]{v, cost})
}

func (c *cache[K, V]) add(k K, e costly[V]) {
	c.cost += e.cost - c.young[k].cost
	if c.young == nil || c.cost > c.bound/2 {
		c.old, c.young, c.cost = c.young, map[K]costly[V]{}, e.cost
	}
	c.young[k] = e
}
