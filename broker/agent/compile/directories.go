package compile

import (
	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker/headers"
)

// Directories gives the compiler's own directories. Of gcc's the scan sees when they no
// longer hold (Stale). clang's driver chooses by what it finds: what it says is
// remembered with everything that it looked at.
func (k *Compilers) Directories(c *Compile, key string) (headers.Defaults, error) {
	sys := k.system(c)
	if c.Toolchain.Family == argv.Clang {
		sys.Run = sys.Remembered(c.Toolchain.Digest())
		return headers.Ask(c.Session.Context(), sys, c.Program, c.Cmd)
	}
	return k.defaults.Get(c.Session.Context(), key, c.Toolchain.Fingerprint, func() (headers.Defaults, error) {
		return headers.Ask(c.Session.Context(), sys, c.Program, c.Cmd)
	})
}

// Stale forgets what Directories said for a key: the scan found that it no longer holds.
func (k *Compilers) Stale(key string) { k.defaults.Forget(key) }
