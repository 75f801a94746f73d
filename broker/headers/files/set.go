package files

// A Set is a set of small numbers.
type Set []uint64

// Add puts n in; false when it was there.
func (s *Set) Add(n int32) bool {
	word, bit := int(n>>6), uint64(1)<<(n&63)
	if word >= len(*s) {
		*s = append(*s, make([]uint64, word+1-len(*s)+len(*s)/2)...)
	}
	if (*s)[word]&bit != 0 {
		return false
	}
	(*s)[word] |= bit
	return true
}

// Has reports whether n is in.
func (s Set) Has(n int32) bool {
	word := int(n >> 6)
	return word < len(s) && s[word]&(1<<(n&63)) != 0
}

// Clear empties the set.
func (s Set) Clear() { clear(s) }

// A table has a small number for some small numbers, 0 for others.
type table []int32

func (t *table) set(n, value int32) {
	if int(n) >= len(*t) {
		*t = append(*t, make([]int32, int(n)+1-len(*t)+len(*t)/2)...)
	}
	(*t)[n] = value
}

func (t table) get(n int32) int32 {
	if int(n) >= len(t) {
		return 0
	}
	return t[n]
}
