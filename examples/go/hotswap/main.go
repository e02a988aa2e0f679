// Hotswap predicts while an update trains, and finds the new version when it is active.
//
//	hotswap [-steps-max N] BUNDLE STORE EXAMPLES
//
// EXAMPLES is a file as that of update, whose versions the store has already.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	polygraft "github.com/polygraft/polygraft/bindings/go"
	"github.com/polygraft/polygraft/examples/go/opened"
)

func main() {
	stepsMax := flag.Uint64("steps-max", 0, "end training after this many steps; 0 for no limit")
	flag.Parse()
	if flag.NArg() != 3 {
		fmt.Fprintln(os.Stderr, "usage: hotswap [-steps-max N] BUNDLE STORE EXAMPLES")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), flag.Arg(2), *stepsMax); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bundle, folder, path string, stepsMax uint64) error {
	all, err := opened.Open(bundle, folder)
	if err != nil {
		return err
	}
	defer all.Close()
	ctx, stop := context.WithCancel(context.Background())
	answered := make(chan map[uint32]int)
	go func() { answered <- serve(ctx, all.Model) }()
	err = learn(ctx, all.Model, path, stepsMax)
	if err == nil {
		_, err = all.Model.Predict(ctx, "light", "de", "Licht an", 1)
	}
	time.Sleep(100 * time.Millisecond) // for some answers of the new version
	stop()
	for version, count := range <-answered {
		fmt.Printf("version %d answered %d times\n", version, count)
	}
	return err
}

// serve asks the same question again and again, and counts the answers of each version.
func serve(ctx context.Context, model *polygraft.Model) map[uint32]int {
	answers := map[uint32]int{}
	for ctx.Err() == nil {
		prediction, err := model.Predict(ctx, "light", "de", "Licht an", 1)
		if err != nil {
			break
		}
		answers[prediction.Version]++
		time.Sleep(5 * time.Millisecond)
	}
	return answers
}

// learn updates the task without the gate, so that there is a new version whatever the few examples
// show.
func learn(ctx context.Context, model *polygraft.Model, path string, stepsMax uint64) error {
	options, err := polygraft.DefaultUpdateOptions()
	if err != nil {
		return err
	}
	options.Strategy, options.Gate, options.StepsMax = polygraft.PerLanguage, false, stepsMax
	update, err := model.BeginUpdate("light", &options)
	if err != nil {
		return err
	}
	defer update.Close()
	examples, err := polygraft.ReadExamples(path)
	if err != nil {
		return err
	}
	if err := update.AddExamples(examples); err != nil {
		return err
	}
	if _, err := update.Run(ctx, nil); err != nil {
		return err
	}
	_, err = update.Commit()
	return err
}
