// Package opened opens what every program needs: ONNX Runtime, a store and a model.
package opened

import (
	polygraft "github.com/polygraft/polygraft/bindings/go"
)

// All is an engine, a store on disk, and a bundle with that store.
type All struct {
	Engine *polygraft.Engine
	Store  *polygraft.Store
	Model  *polygraft.Model
}

// Open opens a bundle with the store in a folder, which is created if it is absent.
func Open(bundle, folder string) (*All, error) {
	engine, err := polygraft.OpenEngine(nil) // finds ONNX Runtime and says where it looked
	if err != nil {
		return nil, err
	}
	all := &All{Engine: engine}
	if all.Store, err = polygraft.OpenStore(folder); err == nil {
		all.Model, err = polygraft.OpenModel(engine, bundle, all.Store, nil)
	}
	if err != nil {
		all.Close()
		return nil, err
	}
	return all, nil
}

// Close closes everything. It waits for running calls.
func (a *All) Close() {
	if a.Model != nil {
		a.Model.Close()
	}
	if a.Store != nil {
		a.Store.Close()
	}
	a.Engine.Close()
}
