package wire

// This file is what both ends of a connection must know alike.

const (
	// LowMinor and HighMinor are the versions 2.x of the API that both ends speak.
	LowMinor, HighMinor = 0, 12
	// MaxMessage bounds one received message: gRPC's usual 4 MiB and slack
	// for peers that count blob sizes alone.
	MaxMessage = 5 << 20
	// MaxInline bounds an output that comes inside a result.
	MaxInline = 1 << 20
	// Window and ConnWindow are what either side may send, on a call and on all of
	// them, before it hears that the other took it: an answer with all its outputs.
	Window, ConnWindow = 4 << 20, 16 << 20
)

// RunHeader is the header of GetCapabilities' answer in which a helper says that
// it has the call Run, and RunVersion what it says.
const (
	RunHeader  = "crosscc-run"
	RunVersion = "1"
)

// PeerHeader is the header in which a client of ours says its word, by which a helper
// knows it from others (trust.Secret).
const PeerHeader = "crosscc-peer"
