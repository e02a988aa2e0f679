//go:build !polygraft_vendored

package polygraft

// The library is an installed one, which pkg-config finds.

// #cgo pkg-config: polygraft
import "C"
