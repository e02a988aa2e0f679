package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	polygraft "github.com/polygraft/polygraft/bindings/go"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	engine := must(polygraft.OpenEngine(nil)) // finds ONNX Runtime
	store := must(polygraft.OpenStore(os.Args[2]))
	model := must(polygraft.OpenModel(engine, os.Args[1], store, nil))

	options := must(polygraft.DefaultUpdateOptions())
	options.Gate, options.RehearsalHeldOutPercent = false, 0 // four examples prove nothing
	options.LearningRate = 0.01                              // for a backbone that is tiny
	update := must(model.BeginUpdate("light", &options))
	for _, text := range []string{"turn on the lamp", "lamp on", "turn off the lamp", "lamp off"} {
		label := "on"
		if strings.Contains(text, "off") {
			label = "off"
		}
		must(label, update.Add("en", text, label))
	}
	must(update.Run(context.Background(), nil))
	report := must(update.Commit())

	prediction := must(model.Predict(context.Background(), "light", "en", "turn on the lamp", 1))
	fmt.Printf("%s, version %d\n", prediction.Labels[0].Name, prediction.Version)
	for _, entry := range report.Languages {
		must(store.RollBack("light", entry.Language))
	}
	fmt.Println("rolled back")
}
