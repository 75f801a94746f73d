//nolint:staticcheck // this file holds all uses of fields that REAPI deprecates: peers of older versions write and read no others
package wire

import repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

// fillOld says what c says again in the places that servers of before 2.1
// (outputs) and 2.2 (platform) read.
func fillOld(c *repb.Command, platform *repb.Platform) {
	c.OutputFiles = c.OutputPaths
	c.Platform = platform
}

// outputsOf reads the one list that counts: output_paths since 2.1, else
// output_files.
func outputsOf(c *repb.Command) ([]string, error) {
	if len(c.OutputPaths) > 0 {
		return c.OutputPaths, nil
	}
	if len(c.OutputDirectories) > 0 {
		return nil, Rejectf("output directory %q: a compile makes files", c.OutputDirectories[0])
	}
	return c.OutputFiles, nil
}

// requirementsOf reads the one platform that counts: the action's since 2.2,
// else the command's.
func requirementsOf(a *repb.Action, c *repb.Command) *repb.Platform {
	if a.Platform != nil {
		return a.Platform
	}
	return c.Platform
}
