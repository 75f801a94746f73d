package session

import (
	"errors"
	"os"
	"strings"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/config/hostlist"
)

// Settings are what one job brings along of its own: the agent has none but
// its directory.
type Settings struct {
	// Client is what was read, for what it says of the agent itself.
	Client config.Client
	Hosts  []hostlist.Host
	// Fallback is false when the build wants to fail rather than to compile
	// locally for want of a helper.
	Fallback bool
	// Locale is what the helper's compiler gets; ExactLocale says that it
	// prints as the client's would.
	Locale      string
	ExactLocale bool
	// Preprocessed says that no trees are wanted.
	Preprocessed bool
	// NativeParams says that native means the sizes of caches, too.
	NativeParams bool
	// Packs says that the compiler may be sent to helpers.
	Packs bool
	// Verify is the share of remote compiles that are done locally too, of
	// identical and of calibrated toolchains.
	Verify, VerifyCalibrated float64
	// Pins are the images that define commands, and PinnedBy says who said so.
	Pins     config.Pins
	PinnedBy string
	// MayPin: where settings can't be read, somebody may have meant to pin.
	MayPin bool
	// Distrusted is why the project's settings don't count; "" when they do.
	Distrusted string
}

// Settings reads what the wrapper's environment and its machine's files say, once.
// With an error they say what was known by then: whether somebody may have pinned.
func (s *Session) Settings() (Settings, error) {
	if s.set == nil {
		set, err := s.readSettings()
		s.set, s.setErr = &set, err
	}
	return *s.set, s.setErr
}

// Distrusted is why the project's settings don't count; "" when they do, or nobody
// has asked yet.
func (s *Session) Distrusted() string {
	if s.set == nil {
		return ""
	}
	return s.set.Distrusted
}

func (s *Session) readSettings() (Settings, error) {
	set := Settings{Fallback: s.Getenv("CROSSCC_FALLBACK") != "0"}
	set.Locale, set.ExactLocale = localeOf(s.Getenv, func() bool {
		_, err := s.Files.Stat("/usr/lib/locale/C.utf8/LC_CTYPE")
		return err == nil
	})
	read := func(name string) ([]byte, error) { return s.Files.ReadFile(s.Abs(name), MaxConfig) }
	project, err := config.FindProject(s.Files, s.Request.Dir, uint32(os.Geteuid()))
	set.MayPin = project != nil || err != nil || s.Getenv("CROSSCC_TOOLCHAIN") != ""
	if d, ok := errors.AsType[*config.Distrusted](err); ok {
		set.Distrusted, err = d.Error(), nil
	}
	if err != nil {
		return set, err
	}
	c, err := config.LoadClient(read, s.Getenv, project)
	if err != nil {
		return set, err
	}
	set.Pins, set.PinnedBy = c.Toolchain, c.ToolchainFrom
	set.Client = c
	set.Hosts, set.Preprocessed = c.Helpers(), c.Preprocessed
	set.Verify, set.VerifyCalibrated = c.Verify, c.VerifyCalibrated
	set.NativeParams, set.Packs = !c.DropNativeParams, c.Packs
	return set, nil
}

// MaxConfig bounds a configuration file.
const MaxConfig = 1 << 20

// The locales that print the same on every machine that has them.
const (
	localeC    = "C"
	LocaleUTF8 = "C.UTF-8"
)

// localeOf is the locale for a helper's compiler, and whether it prints there
// as the client's does at home (X16).
func localeOf(getenv func(string) string, installed func() bool) (locale string, exact bool) {
	messages, ctype := localeOfCategory(getenv, "LC_MESSAGES"), localeOfCategory(getenv, "LC_CTYPE")
	switch {
	case messages == localeC && ctype == localeC:
		return localeC, true
	case messages == LocaleUTF8 && ctype == LocaleUTF8 && installed():
		return LocaleUTF8, getenv("LANGUAGE") == "" // which is heeded in all locales but C
	case messages == LocaleUTF8 && ctype == LocaleUTF8:
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
			return LocaleUTF8
		default:
			return v
		}
	}
	return localeC
}
