package main

import (
	"context"
	"errors"
	"strings"
	"sync"

	polygraft "github.com/polygraft/polygraft/bindings/go"
)

var (
	errRunning = errors.New("an update is running")
	errNothing = errors.New("there is no feedback to learn from")
)

// learner collects feedback and runs one update at a time.
type learner struct {
	model    *polygraft.Model
	stepsMax uint64

	mutex sync.Mutex
	// Feedback that no update has taken yet, in JSON Lines.
	waiting []string
	now     learning
	// Ends the running update; nil if there is none.
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// learning is what a client may know about the updates.
type learning struct {
	Waiting  int      `json:"waiting"`
	Running  bool     `json:"running"`
	Phase    string   `json:"phase,omitempty"`
	Fraction float64  `json:"fraction"`
	Updates  int      `json:"updates"`
	Error    string   `json:"error,omitempty"`
	Changed  []change `json:"changed"`
}

// change is a language that the last update gave a new version.
type change struct {
	Language string `json:"language"`
	Version  uint32 `json:"version"`
	Reason   string `json:"reason"`
}

// remember checks feedback and keeps it for the next update.
func (l *learner) remember(lines string) error {
	examples, err := polygraft.ParseExamples(lines)
	if err != nil {
		return malformed{err}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.waiting = append(l.waiting, strings.TrimSpace(lines))
	l.now.Waiting += examples.Len()
	return nil
}

func (l *learner) state() learning {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.now
}

// start begins an update in the background.
func (l *learner) start() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.now.Running {
		return errRunning
	}
	if len(l.waiting) == 0 {
		return errNothing
	}
	lines, count := strings.Join(l.waiting, "\n"), l.now.Waiting
	l.waiting, l.now = nil, learning{Running: true, Updates: l.now.Updates}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		defer cancel()
		report, err := l.learn(ctx, lines)
		l.end(report, err, lines, count)
	}()
	return nil
}

// learn trains on the examples and activates what did not get worse.
func (l *learner) learn(ctx context.Context, lines string) (*polygraft.Report, error) {
	options, err := polygraft.DefaultUpdateOptions()
	if err != nil {
		return nil, err
	}
	options.NewLabels, options.StepsMax = true, l.stepsMax
	options.Background, options.Threads = true, 1 // answers come first
	update, err := l.model.BeginUpdate(task, &options)
	if err != nil {
		return nil, err
	}
	defer update.Close()
	examples, err := polygraft.ParseExamples(lines)
	if err != nil {
		return nil, err
	}
	if err := update.AddExamples(examples); err != nil {
		return nil, err
	}
	_, err = update.Run(ctx, func(progress polygraft.Progress) bool {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		l.now.Phase, l.now.Fraction = progress.Phase.String(), float64(progress.Fraction)
		return true
	})
	if err != nil {
		return nil, err
	}
	return update.Commit()
}

// end records how an update ended. What it did not learn stays for the next one.
func (l *learner) end(report *polygraft.Report, err error, lines string, count int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.cancel = nil
	l.now.Running, l.now.Phase, l.now.Fraction = false, "", 0
	if err != nil {
		l.now.Error = err.Error()
		l.waiting = append([]string{lines}, l.waiting...)
		l.now.Waiting += count
		return
	}
	l.now.Updates++
	for _, entry := range report.Languages {
		if entry.Version > 0 {
			l.now.Changed = append(l.now.Changed, change{entry.Language, entry.Version, entry.Reason})
		}
	}
}

// stop cancels a running update and waits for its end.
func (l *learner) stop() {
	l.mutex.Lock()
	if l.cancel != nil {
		l.cancel()
	}
	l.mutex.Unlock()
	l.done.Wait()
}
