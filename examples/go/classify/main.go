// Classify asks a task of a store for the labels of some texts.
//
//	classify BUNDLE STORE LANGUAGE TEXT...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	polygraft "github.com/polygraft/polygraft/bindings/go"
)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: classify BUNDLE STORE LANGUAGE TEXT...")
		os.Exit(2)
	}
	if err := classify(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// guide: begin
func classify(bundle, folder, language string, texts []string) error {
	engine, err := polygraft.OpenEngine(nil) // finds ONNX Runtime and says where it looked
	if err != nil {
		return err
	}
	defer engine.Close()
	store, err := polygraft.OpenStore(folder)
	if err != nil {
		return err
	}
	defer store.Close()
	model, err := polygraft.OpenModel(engine, bundle, store, nil)
	if err != nil {
		return err
	}
	defer model.Close()
	predictions, err := model.PredictBatch(context.Background(), "light", language, texts, 1)
	if errors.Is(err, polygraft.CodeStoreNoVersion) {
		return fmt.Errorf("the task has learnt nothing yet: %w", err)
	}
	for index, prediction := range predictions {
		best := prediction.Labels[0]
		fmt.Printf("%s: %s %.3f (%s version %d)\n",
			texts[index], best.Name, best.Probability, prediction.Language, prediction.Version)
	}
	return err
}

// guide: end
