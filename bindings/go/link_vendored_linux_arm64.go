//go:build polygraft_vendored

package polygraft

// The library lies beside this file. A program finds it where it was built, or beside itself.

// #cgo LDFLAGS: -L${SRCDIR}/native/linux_arm64 -l:libpolygraft.so.0
// #cgo LDFLAGS: -Wl,-rpath,$ORIGIN -Wl,-rpath,${SRCDIR}/native/linux_arm64
import "C"

import _ "github.com/polygraft/polygraft/bindings/go/native/linux_arm64"
