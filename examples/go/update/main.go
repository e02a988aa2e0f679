// Update teaches the task light the examples of a file. Ctrl-C cancels; nothing has changed then.
//
//	update [-steps-max N] BUNDLE STORE EXAMPLES
//
// A line of EXAMPLES is {"lang": "de", "text": "Licht an", "label": "on"}.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	polygraft "github.com/polygraft/polygraft/bindings/go"
	"github.com/polygraft/polygraft/examples/go/opened"
)

func main() {
	stepsMax := flag.Uint64("steps-max", 0, "end training after this many steps; 0 for no limit")
	flag.Parse()
	if flag.NArg() != 3 {
		fmt.Fprintln(os.Stderr, "usage: update [-steps-max N] BUNDLE STORE EXAMPLES")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, flag.Arg(0), flag.Arg(1), flag.Arg(2), *stepsMax)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "\ninterrupted: nothing has changed")
	} else if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, bundle, folder, path string, stepsMax uint64) error {
	all, err := opened.Open(bundle, folder)
	if err != nil {
		return err
	}
	defer all.Close()
	options, err := polygraft.DefaultUpdateOptions()
	if err != nil {
		return err
	}
	options.NewLabels, options.StepsMax = true, stepsMax
	update, err := all.Model.BeginUpdate("light", &options)
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
	_, err = update.Run(ctx, func(progress polygraft.Progress) bool {
		fmt.Fprintf(os.Stderr, "\r%3.0f %% %-15s", 100*progress.Fraction, progress.Phase)
		return true
	})
	if err != nil {
		return err
	}
	report, err := update.Commit() // activates every language that did not get worse
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr)
	for _, entry := range report.Languages {
		fmt.Printf("%-4s version %d: %s\n", entry.Language, entry.Version, entry.Reason)
	}
	return nil
}
