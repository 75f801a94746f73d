package local

// A Message is one frame of the conversation. The wrapper speaks first, with a
// Request; the agent then sends any number of Run and Note, waits for the Ran
// of each Run, and ends with one of Exec, Finish, Fail, Answer or Replace. Only
// a Finish is answered, with Wrote; after a Wrote that carries an error one
// more final message follows.
type Message interface {
	kind() kind
	append(b []byte) []byte
}

// kind is the byte that names a message on the wire.
type kind byte

const (
	kindRequest kind = iota + 1
	kindRan
	kindWrote
)

const (
	kindReplace kind = iota + 16
	kindRun
	kindExec
	kindFinish
	kindFail
	kindAnswer
	kindNote
	kindAlive
)

// VerbCompile is the verb of a wrapper. The other verbs are crossctl's
// ("explain", "status", "stop" …); this package gives them no meaning.
const VerbCompile = "compile"

// A Request opens the conversation. Two descriptors go with it, opened with
// O_PATH: the wrapper's root directory and its working directory. A third is its
// standard input, where a word of Args is "-".
type Request struct {
	// Build is the sender's BuildID. An agent of another build drains, closes
	// its listener and answers Replace.
	Build string
	Verb  string
	// Program is the compiler's path as the wrapper found it, absolute or
	// relative to Dir; "" when there is none on the wrapper's PATH.
	Program string
	// Args are the words for the compiler, argv[0] included: the name as the
	// build called it, or Program where that name leads to a launcher's link
	// (gcc finds its own parts by argv[0]).
	Args []string
	// Env is the listed part of the environment (Listed), K=V.
	Env []string
	// Dir is the working directory: $PWD where that names it, else the real
	// path, "" when it has none any more.
	Dir      string
	Umask    int
	Terminal bool // stderr is a terminal
	Columns  int  // of the terminal at stdin, where stderr is one as well; 0 when that says nothing
	// Nested says that a wrapper is among the ancestors: this one must not
	// wait for a slot, its ancestor may hold the last.
	Nested bool
}

// Ran answers a Run.
type Ran struct {
	Status int    // raw wait status
	Err    string // the program could not be started; Status means nothing
}

// Wrote answers a Finish. With Err set, no output was put in place and the
// agent answers with Exec, so that the real compiler meets the same trouble
// and says it in its own words.
type Wrote struct{ Err string }

// Replace says that the agent is of another build and has closed its listener:
// the wrapper starts a new one.
type Replace struct{}

// Run asks the wrapper to run a program in its own root, directory and
// environment. The descriptors are stdin when Stdin is set, then stdout, then
// stderr; one that is missing is /dev/null.
type Run struct {
	Path string
	Args []string // argv[0] included
	// Env are additions K=V to the wrapper's environment; a word without "="
	// takes that variable away.
	Env   []string
	Stdin bool
}

// Exec asks the wrapper to become the compiler.
type Exec struct {
	Path string // "" stands for the Request's Program
	// Args are the words, argv[0] included; nil stands for the Request's own.
	Args   []string
	Reason string // why it runs here, one line; shown at log level debug
	// Slot keeps the connection open in the compiler and its children, so
	// that its end tells the agent that the slot is free.
	Slot bool
}

// Finish hands over what the compiler made and said. The descriptors that go
// with it are files that Outputs refer to.
type Finish struct {
	// Outputs are written in order and get their names in reverse: with the
	// object first, it is never there without its dependency file.
	Outputs []Output
	// Remove are files to take away if they are regular files or links, as a
	// compiler that fails does with its output. One that is absent is no error.
	Remove         []string
	Stdout, Stderr []byte
	Status         int // raw wait status
}

// An Output is one file that the wrapper writes.
type Output struct {
	Path       string // relative to the wrapper's working directory, or absolute
	Executable bool
	// Mode are the file's permissions where they are no new file's; 0 else.
	Mode uint32
	// Keep is for outputs that compilers overwrite in place (-S, .d; objects
	// are unlinked first by as): an existing file keeps its mode and owner,
	// and one with several links is left to the real compiler.
	Keep bool
	// File is the index of the descriptor with the contents, read from offset
	// 0, or -1 when Data holds them. Data is for the small: a frame holds 64 MiB.
	File int
	Data []byte
}

// Fail ends with an error of crosscc's own.
type Fail struct {
	Message string // "crosscc: error: " goes before it
	Hint    string // "crosscc: hint: " goes before it; "" for none
	Status  int    // exit status, 1 to 255
}

// Answer ends a verb that prints data.
type Answer struct{ Data []byte }

// Note is one line for the wrapper's log, sent at any time.
type Note struct{ Text string }

// Alive says that the agent works on it. It comes every aliveEvery and is never
// seen outside this package; its absence ends a Session with ErrSilent.
type Alive struct{}

func (Request) kind() kind { return kindRequest }
func (Ran) kind() kind     { return kindRan }
func (Wrote) kind() kind   { return kindWrote }
func (Replace) kind() kind { return kindReplace }
func (Run) kind() kind     { return kindRun }
func (Exec) kind() kind    { return kindExec }
func (Finish) kind() kind  { return kindFinish }
func (Fail) kind() kind    { return kindFail }
func (Answer) kind() kind  { return kindAnswer }
func (Note) kind() kind    { return kindNote }
func (Alive) kind() kind   { return kindAlive }
