package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// load asks questions at a steady rate.
type load struct {
	service   *service
	questions []string
	pause     time.Duration
}

// measured holds the times of the answers, the failures and the versions that answered.
type measured struct {
	mutex    sync.Mutex
	times    []time.Duration
	failed   int
	versions []uint32
	took     time.Duration
	// The error of what happened meanwhile.
	err error
}

// during asks while something else happens.
func (l *load) during(something func() error) *measured {
	seen, done := &measured{}, make(chan error, 1)
	start := time.Now()
	go func() { done <- something() }()
	var asking sync.WaitGroup
	for number := 0; ; number++ {
		due := start.Add(time.Duration(number) * l.pause)
		select {
		case seen.err = <-done:
			seen.took = time.Since(start)
			asking.Wait()
			slices.Sort(seen.times)
			slices.Sort(seen.versions)
			return seen
		case <-time.After(time.Until(due)):
		}
		asking.Add(1)
		go func() {
			defer asking.Done()
			version, err := l.service.predict(l.questions[number%len(l.questions)])
			seen.add(time.Since(due), version, err)
		}()
	}
}

func (m *measured) add(took time.Duration, version uint32, err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if err != nil {
		m.failed++
		return
	}
	m.times = append(m.times, took)
	if !slices.Contains(m.versions, version) {
		m.versions = append(m.versions, version)
	}
}

// at returns a quantile of the answers' times, in milliseconds.
func (m *measured) at(share float64) float64 {
	if len(m.times) == 0 {
		return 0
	}
	index := min(int(share*float64(len(m.times))), len(m.times)-1)
	return float64(m.times[index].Microseconds()) / 1000
}

func (m *measured) print(when string) {
	fmt.Printf("%-18s%8d%8d%9.1f%9.1f%9.1f\n",
		when, len(m.times), m.failed, m.at(0.5), m.at(0.99), m.at(1))
}
