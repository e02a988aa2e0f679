package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// service is the service under load.
type service struct {
	url    string
	client *http.Client
}

// state is what the service says about its updates.
type state struct {
	Running bool
	Updates int
	Error   string
}

// send expects a status of the class 2xx, and fills the value with the answer.
func (s *service) send(method, path, body string, value any) error {
	request, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return json.Unmarshal(answer, value)
}

// learn runs updates, one after the other, and waits for their end.
func (s *service) learn(feedback string, updates int) error {
	var now state
	for range updates {
		if err := s.send(http.MethodPost, "/feedback", feedback, &now); err != nil {
			return err
		}
		if err := s.send(http.MethodPost, "/update", "", &now); err != nil {
			return err
		}
		for now.Running {
			time.Sleep(50 * time.Millisecond)
			if err := s.send(http.MethodGet, "/update", "", &now); err != nil {
				return err
			}
		}
		if now.Error != "" {
			return fmt.Errorf("the update failed: %s", now.Error)
		}
	}
	return nil
}

// predict gives the version that answered a question.
func (s *service) predict(question string) (uint32, error) {
	var found struct{ Version uint32 }
	err := s.send(http.MethodPost, "/predict", question, &found)
	return found.Version, err
}
