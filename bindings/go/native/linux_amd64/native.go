// Package native is the place of libpolygraft.so.0 for the build tag polygraft_vendored. It has no
// code: it makes `go mod vendor` copy the library beside it.
package native
