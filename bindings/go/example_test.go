package polygraft_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	polygraft "github.com/polygraft/polygraft/bindings/go"
)

// bundle is a folder that `polygraft bundle create` wrote; `make bundle` makes this one.
const bundle = "../../.cache/bundle/e5-small"

// sentences are examples of a task with two labels.
var sentences = []struct{ language, text, label string }{
	{"en", "turn on the light", "on"},
	{"en", "switch the lamp on please", "on"},
	{"en", "turn off the light", "off"},
	{"en", "switch the lamp off please", "off"},
	{"de", "schalte das Licht ein", "on"},
	{"de", "mach die Lampe an", "on"},
	{"de", "schalte das Licht aus", "off"},
	{"de", "mach die Lampe aus", "off"},
}

// open opens the bundle with an empty store. The returned function closes everything.
func open() (*polygraft.Model, *polygraft.Store, func()) {
	folder, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	engine, err := polygraft.OpenEngine(nil) // finds ONNX Runtime and says where it looked
	if err != nil {
		log.Fatal(err)
	}
	store, err := polygraft.OpenStore(folder)
	if err != nil {
		log.Fatal(err)
	}
	model, err := polygraft.OpenModel(engine, bundle, store, nil)
	if err != nil {
		log.Fatal(err)
	}
	return model, store, func() {
		model.Close()
		store.Close()
		engine.Close()
		os.RemoveAll(folder)
	}
}

// teach updates a task and activates every language that did not get worse.
func teach(ctx context.Context, model *polygraft.Model) *polygraft.Report {
	options, err := polygraft.DefaultUpdateOptions()
	if err != nil {
		log.Fatal(err)
	}
	options.Seed, options.StepsMax = 1, 3
	update, err := model.BeginUpdate("light", &options)
	if err != nil {
		log.Fatal(err)
	}
	defer update.Close()
	for _, one := range sentences {
		if err := update.Add(one.language, one.text, one.label); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := update.Run(ctx, nil); err != nil {
		log.Fatal(err)
	}
	report, err := update.Commit()
	if err != nil {
		log.Fatal(err)
	}
	return report
}

// A task learns from labelled examples, and languages without a version fall back.
func Example() {
	ctx := context.Background()
	model, store, closeAll := open()
	defer closeAll()
	for _, entry := range teach(ctx, model).Languages {
		fmt.Println(entry.Language, entry.Activated, entry.ReasonKind)
	}
	for _, language := range []string{"de-AT", "tr"} {
		prediction, err := model.Predict(ctx, "light", language, "Licht an", 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(language, "is served by", prediction.Language, "version", prediction.Version)
	}
	number, err := store.RollBack("light", "de")
	fmt.Println("rolled back to", number, err)
	// Output:
	// de true first-version
	// en true first-version
	// mul true first-version
	// de-AT is served by de version 1
	// tr is served by mul version 1
	// rolled back to 0 <nil>
}

// A failure has a code to compare with, a stable name for logs and a message for people.
func ExampleError() {
	model, _, closeAll := open()
	defer closeAll()
	_, err := model.Predict(context.Background(), "light", "de", "Licht an", 1)
	fmt.Println(errors.Is(err, polygraft.CodeStoreNoVersion))
	var failure *polygraft.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Name())
	}
	// Output:
	// true
	// store.no_version
}

// A context cancels an update. What was cancelled has changed nothing.
func ExampleUpdate_Run() {
	model, store, closeAll := open()
	defer closeAll()
	update, err := model.BeginUpdate("light", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer update.Close()
	for _, one := range sentences {
		if err := update.Add(one.language, one.text, one.label); err != nil {
			log.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = update.Run(ctx, func(progress polygraft.Progress) bool {
		cancel() // from here or from any other goroutine; returning false does the same
		return true
	})
	versions, _ := store.Versions("")
	fmt.Println(errors.Is(err, context.Canceled), errors.Is(err, polygraft.CodeCancelled))
	fmt.Println(len(versions), "versions")
	// Output:
	// true true
	// 0 versions
}
