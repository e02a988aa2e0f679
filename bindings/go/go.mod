module github.com/polygraft/polygraft/bindings/go

go 1.24
