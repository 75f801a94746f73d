package option

// Family is a compiler's kin: what decides how a command line is read.
type Family int

// The families. Unknown is what a name like cc leaves open.
const (
	Unknown Family = iota
	GCC
	Clang
)

func (f Family) String() string {
	switch f {
	case GCC:
		return "gcc"
	case Clang:
		return "clang"
	}
	return "unknown"
}
