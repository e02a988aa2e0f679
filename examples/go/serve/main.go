// Serve answers over HTTP and learns while it answers.
//
//	serve [-address HOST:PORT] [-steps-max N] BUNDLE STORE
//
//	POST /predict   {"lang": "de", "text": "Licht an"}, answered with a label and the version
//	POST /feedback  lines such as {"lang": "de", "text": "Licht an", "label": "on"}
//	POST /update    trains on the feedback so far, in the background
//	GET  /update    the progress of the running update, and what the last one changed
//	GET  /healthz   200 while it serves
//	GET  /metrics   for Prometheus
//
// An update never stops the answers: it trains at the system's lowest priority, and its versions
// become active between two predictions. SIGINT and SIGTERM end the service: running requests are
// answered, and a running update is cancelled and changes nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/polygraft/polygraft/examples/go/opened"
)

// How long running requests may take to end.
const endingMax = 10 * time.Second

func main() {
	address := flag.String("address", "localhost:8080", "where to listen")
	stepsMax := flag.Uint64("steps-max", 0, "end training after this many steps; 0 for no limit")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: serve [-address HOST:PORT] [-steps-max N] BUNDLE STORE")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, flag.Arg(0), flag.Arg(1), *stepsMax); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, bundle, store string, stepsMax uint64) error {
	all, err := opened.Open(bundle, store)
	if err != nil {
		return err
	}
	defer all.Close()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening on", listener.Addr())
	learner := &learner{model: all.Model, stepsMax: stepsMax}
	server := &http.Server{
		Handler:           routes(all.Model, learner),
		ReadHeaderTimeout: 5 * time.Second,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		ending, cancel := context.WithTimeout(context.Background(), endingMax)
		defer cancel()
		err = server.Shutdown(ending)
	}
	learner.stop()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
