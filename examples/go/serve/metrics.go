package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// The upper bounds of the histogram of response times, in seconds.
var bounds = [...]float64{0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1}

// metrics counts predictions. It writes the text format of Prometheus, version 0.0.4.
type metrics struct {
	mutex   sync.Mutex
	count   uint64
	failed  uint64
	seconds float64
	within  [len(bounds)]uint64
}

func (m *metrics) answered(took time.Duration, err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if err != nil {
		m.failed++
		return
	}
	m.count++
	m.seconds += took.Seconds()
	for index, bound := range bounds {
		if took.Seconds() <= bound {
			m.within[index]++
		}
	}
}

func (m *metrics) write(w io.Writer, state learning) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	const histogram = "polygraft_prediction_seconds"
	fmt.Fprintf(w, "# TYPE %s histogram\n", histogram)
	for index, bound := range bounds {
		fmt.Fprintf(w, "%s_bucket{le=\"%g\"} %d\n", histogram, bound, m.within[index])
	}
	fmt.Fprintf(w, "%s_bucket{le=\"+Inf\"} %d\n", histogram, m.count)
	fmt.Fprintf(w, "%s_sum %g\n%s_count %d\n", histogram, m.seconds, histogram, m.count)
	counter := func(name string, value uint64) {
		fmt.Fprintf(w, "# TYPE %s counter\n%s %d\n", name, name, value)
	}
	gauge := func(name string, value float64) {
		fmt.Fprintf(w, "# TYPE %s gauge\n%s %g\n", name, name, value)
	}
	counter("polygraft_prediction_errors_total", m.failed)
	counter("polygraft_updates_total", uint64(state.Updates))
	running := 0.0
	if state.Running {
		running = 1
	}
	gauge("polygraft_update_running", running)
	gauge("polygraft_update_fraction", state.Fraction)
	gauge("polygraft_feedback_waiting", float64(state.Waiting))
}
