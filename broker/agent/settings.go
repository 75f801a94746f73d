package agent

import (
	"errors"
	"os"
	"strings"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/local"
)

// settings are what one job brings along of its own: the agent has none but
// its directory.
type settings struct {
	hosts []config.Host
	// fallback is false when the build wants to fail rather than to compile
	// locally for want of a helper.
	fallback bool
	// locale is what the helper's compiler gets; exactLocale says that it
	// prints as the client's would.
	locale      string
	exactLocale bool
	// preprocessed says that no trees are wanted.
	preprocessed bool
	// nativeParams says that native means the sizes of caches, too.
	nativeParams bool
	// packs says that the compiler may be sent to helpers.
	packs bool
	// verify is the share of remote compiles that are done locally too, of
	// identical and of calibrated toolchains.
	verify, verifyCalibrated float64
	// pins are the images that define commands, and pinnedBy says who said so.
	pins     config.Pins
	pinnedBy string
	// mayPin: where settings can't be read, somebody may have meant to pin.
	mayPin bool
	// distrusted is why the project's settings don't count; "" when they do.
	distrusted string
}

// settings reads what the wrapper's environment and its machine's files say.
func (a *Agent) settings(s *session) (settings, error) {
	if s.set == nil {
		set, err := a.readSettings(s)
		s.set, s.setErr = &set, err
	}
	return *s.set, s.setErr
}

func (a *Agent) readSettings(s *session) (settings, error) {
	set := settings{fallback: s.getenv("CROSSCC_FALLBACK") != "0"}
	set.locale, set.exactLocale = localeOf(s.getenv, func() bool {
		_, err := s.root.Stat("/usr/lib/locale/C.utf8/LC_CTYPE")
		return err == nil
	})
	read := func(name string) ([]byte, error) { return s.root.ReadFile(s.abs(name), maxConfig) }
	project, err := config.FindProject(s.root, s.Request.Dir, uint32(os.Geteuid()))
	set.mayPin = project != nil || err != nil || s.getenv("CROSSCC_TOOLCHAIN") != ""
	if d, ok := errors.AsType[*config.Distrusted](err); ok {
		set.distrusted, err = d.Error(), nil
		a.tellOnce(set.distrusted)
	}
	if err != nil {
		return set, err
	}
	c, err := config.LoadClient(read, s.getenv, project)
	if err != nil {
		return set, err
	}
	set.pins, set.pinnedBy = c.Toolchain, c.ToolchainFrom
	if s.Request.Verb == local.VerbCompile { // a question changes nothing
		a.adopt(c)
	}
	set.hosts, set.preprocessed = c.Helpers(), c.Preprocessed
	set.verify, set.verifyCalibrated = c.Verify, c.VerifyCalibrated
	set.nativeParams, set.packs = !c.DropNativeParams, c.Packs
	return set, nil
}

// maxConfig bounds a configuration file.
const maxConfig = 1 << 20

// The locales that print the same on every machine that has them.
const (
	localeC    = "C"
	localeUTF8 = "C.UTF-8"
)

// localeOf is the locale for a helper's compiler, and whether it prints there
// as the client's does at home (X16).
func localeOf(getenv func(string) string, installed func() bool) (locale string, exact bool) {
	messages, ctype := localeOfCategory(getenv, "LC_MESSAGES"), localeOfCategory(getenv, "LC_CTYPE")
	switch {
	case messages == localeC && ctype == localeC:
		return localeC, true
	case messages == localeUTF8 && ctype == localeUTF8 && installed():
		return localeUTF8, getenv("LANGUAGE") == "" // which is heeded in all locales but C
	case messages == localeUTF8 && ctype == localeUTF8:
		return localeC, true // gcc finds no such locale at home either, and stays in C
	}
	return localeC, false
}

// localeOfCategory is the category's locale as setlocale chooses it: "C",
// "C.UTF-8" or another.
func localeOfCategory(getenv func(string) string, category string) string {
	for _, name := range []string{"LC_ALL", category, "LANG"} {
		switch v := getenv(name); strings.ToUpper(strings.ReplaceAll(v, "-", "")) {
		case "":
			continue
		case "C", "POSIX":
			return localeC
		case "C.UTF8":
			return localeUTF8
		default:
			return v
		}
	}
	return localeC
}

// tellOnce warns in the log of something that each job of a build would say again.
func (a *Agent) tellOnce(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.told == text {
		return
	}
	a.told = text
	a.log.Warn(text)
}
