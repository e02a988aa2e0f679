module github.com/polygraft/polygraft/examples/go

go 1.24

require github.com/polygraft/polygraft/bindings/go v0.0.0

replace github.com/polygraft/polygraft/bindings/go => ../../bindings/go
