// Command bench is `make bench`: it measures crosscc beside its peers, in one
// run, and prints the tables of docs/performance.md. What it measures and how is
// written there. It should run as root: network namespaces and cgroups are what
// it counts with; without them it does what it can and says what it left out.
//
// Start with run; then plan.go (what is measured) and round.go (how one round goes).
// Who meets is package contender, where each works is package place, what they
// compile is package workload. What they use is counted by packages account and
// census, over the wires of package link; what comes of it is printed by package table.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/crosscc/crosscc/e2e/bench/account"
	"github.com/crosscc/crosscc/e2e/bench/contender"
	"github.com/crosscc/crosscc/e2e/bench/place"
	"github.com/crosscc/crosscc/e2e/bench/table"
	"github.com/crosscc/crosscc/e2e/bench/workload"
	"github.com/crosscc/crosscc/e2e/tool"
)

func main() {
	if os.Args[0] == place.EnterName {
		fmt.Fprintf(os.Stderr, "bench: %v\n", place.Enter(os.Args[1:]))
		os.Exit(127)
	}
	os.Exit(tool.Main("bench", run))
}

// options are the command line's.
type options struct {
	bin       string
	full      bool
	only      *regexp.Regexp
	rounds    int
	files     int
	file      string
	count     string
	listing   bool
	profiling bool
	verbose   io.Writer
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "bin", "directory of crosscc, crossccd and crossctl")
	quick := flags.Bool("quick", true, "what tells most in about a quarter of an hour")
	flags.BoolVar(&o.full, "full", false, "every workload on every link, in every mode and at -j1, -j8 and -j64: hours")
	only := flags.String("only", "", "run what this regular `expression` matches, of the names that -list prints")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of each measurement")
	flags.IntVar(&o.files, "files", 0, "no more than so many files of each workload, for a trial")
	flags.StringVar(&o.file, "o", "", "write the tables to this `file` as well")
	flags.StringVar(&o.count, "accounting", "", "count processor time by cpuacct, cpu.stat or proc (default: the first that works)")
	flags.BoolVar(&o.profiling, "profile", false, "instead of all else, tell where crosscc's client spends its time")
	flags.BoolVar(&o.listing, "list", false, "print the names of all measurements and run none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown word %q", flags.Arg(0))
	}
	o.full = o.full || !*quick
	if o.rounds < 1 {
		return o, errors.New("-rounds must be at least 1")
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	o.bin, err = filepath.Abs(o.bin)
	o.verbose = os.Stderr
	return o, err
}

// run is the benchmark. What it starts is over when it returns, whatever ctx does.
func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	b := &bench{options: o, out: os.Stdout}
	// The name is short, because a unix socket's may have 108 bytes.
	if b.root, err = os.MkdirTemp("/tmp", "cc-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.root)
	// Daemons that were started as root work as somebody else below it.
	if err := os.Chmod(b.root, 0o755); err != nil {
		return err
	}
	var versions []string
	b.here, versions = present(ctx, contender.All(o.bin), b.root)
	if o.listing {
		b.list()
		return nil
	}
	if o.file != "" {
		var text bytes.Buffer
		b.out = io.MultiWriter(os.Stdout, &text)
		defer func() { err = errors.Join(err, os.WriteFile(o.file, text.Bytes(), 0o644)) }()
	}
	if b.book, err = account.Open(o.count); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.book.Close()) }()
	begin := time.Now()
	writeHead(b.out, versions, b.book.Kind(), o)
	if o.profiling {
		err = b.profile(ctx)
	} else {
		err = b.all(ctx)
	}
	writeFoot(b.out, b.other, time.Since(begin))
	return err
}

// A bench is one run.
type bench struct {
	options
	tally
	out  io.Writer
	book *account.Book
	root string
	here []contender.Contender // that are installed
}

// todo is what is to be measured in arenas.
func (b *bench) todo() []chosen {
	var arenas []arena
	for _, a := range plan(b.full, b.rounds) {
		if a.network.Name == place.Loopback || os.Geteuid() == 0 {
			a.w = b.cut(a.w)
			arenas = append(arenas, a)
		}
	}
	return choose(arenas, b.here, b.full, b.only)
}

// cut is a workload with no more files than the command line says.
func (b *bench) cut(w *workload.Workload) *workload.Workload {
	if b.files > 0 {
		return w.Few(b.files)
	}
	return w
}

// all is every measurement that -only names.
func (b *bench) all(ctx context.Context) error {
	for _, c := range b.todo() {
		r, err := meet(ctx, b.book, b.root, c, b.here, b.verbose, &b.other)
		b.results = append(b.results, r)
		writeResult(b.out, r)
		if err != nil {
			return err
		}
	}
	ws := workload.All()
	if who := b.travellers(); len(who) > 0 {
		w := b.cut(ws["c"].Few(20))
		all, left, err := trips(ctx, b.book, b.root, who, w, b.rounds)
		b.trips = all
		writeTrips(b.out, all, left, w.About, w.Jobs)
		if err != nil {
			return err
		}
	}
	if b.only.MatchString(crowdName) {
		w := b.cut(ws["tiny"])
		r, err := crowd(ctx, b.book, b.bin, b.root, w)
		if err != nil {
			return fmt.Errorf("%s: %w", crowdName, err)
		}
		b.crowd = &r
		writeCrowd(b.out, r, w.About)
	}
	if figures, left := runParts(ctx, b.only); len(figures)+len(left) > 0 {
		b.parts = figures
		writeParts(b.out, figures, left)
	}
	writeGoals(b.out, &b.tally)
	return ctx.Err()
}

// travellers are the contenders whose round trips are to be measured.
func (b *bench) travellers() (who []contender.Contender) {
	for _, c := range b.here {
		if !c.Local && c.Has(contender.Warm, b.full) && os.Geteuid() == 0 && b.only.MatchString(tripsName+"/"+c.Name) {
			who = append(who, c)
		}
	}
	return who
}

// profile is where crosscc's client spends its time.
func (b *bench) profile(ctx context.Context) error {
	ws := workload.All()
	for _, a := range []arena{
		{w: b.cut(ws["c"].Few(60)), steps: []step{{contender.Warm, 1, 1}, {contender.Hit, 1, 1}}},
		{w: b.cut(ws["c++"]), steps: []step{{contender.Warm, 1, 1}, {contender.Warm, 8, 1}, {contender.Hit, 1, 1}}},
	} {
		for _, s := range a.steps {
			r, err := profileOf(ctx, b.book, b.bin, b.root, a.w, s)
			if err != nil {
				return err
			}
			writeProfile(b.out, fmt.Sprintf("%d %s; %s, -j%d", a.w.Jobs, a.w.About, s.mode, s.jobs), r)
		}
	}
	if os.Geteuid() != 0 {
		return nil
	}
	turns, err := talk(ctx, b.book, b.bin, b.root, ws["c"])
	if err != nil {
		return err
	}
	writeTalk(b.out, turns)
	return nil
}

// present are the contenders that are installed, and a line for each of all.
func present(ctx context.Context, all []contender.Contender, home string) (here []contender.Contender, versions []string) {
	for _, c := range all {
		v, err := c.Version(ctx, home)
		if err != nil {
			versions = append(versions, fmt.Sprintf("%s: missing, %v", c.Name, err))
			continue
		}
		versions = append(versions, c.Name+": "+v)
		here = append(here, c)
	}
	return here, versions
}

func (b *bench) list() {
	for _, c := range b.todo() {
		for _, s := range c.steps {
			for _, who := range c.entries[s] {
				fmt.Fprintln(b.out, c.name(s)+"/"+who.Name)
			}
		}
	}
	for _, c := range b.travellers() {
		fmt.Fprintln(b.out, tripsName+"/"+c.Name)
	}
	names := []string{crowdName}
	for _, p := range parts() {
		names = append(names, p.name())
	}
	for _, name := range names {
		if b.only.MatchString(name) {
			fmt.Fprintln(b.out, name)
		}
	}
}

// writeHead says where and with what the tables were made.
func writeHead(w io.Writer, versions []string, kind string, o options) {
	fmt.Fprintf(w, "%s, %d processors, %s; %d rounds; processor time by %s\n\n", cpuName(), runtime.NumCPU(), kernel(), o.rounds, kind)
	for _, v := range versions {
		fmt.Fprintf(w, "* %s\n", v)
	}
	if o.files > 0 {
		fmt.Fprintf(w, "\nA trial: no more than %d files of each workload, so what the first job costs is spread over few.\n", o.files)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(w, "\nNot root: no network namespaces, so bytes are not counted and there are no links but loopback, and no round trips.")
	}
}

func writeFoot(w io.Writer, other []float64, took time.Duration) {
	if len(other) == 0 {
		return
	}
	slices.Sort(other)
	fmt.Fprintf(w, "\nThe run took %v. While a round was measured, others used %.2f processors (median; at most %.2f).\n",
		took.Round(time.Second), table.Median(other), other[len(other)-1])
}

func cpuName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return "Linux " + strings.TrimSpace(string(text))
}
