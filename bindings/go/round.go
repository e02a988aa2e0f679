package polygraft

// #include <polygraft.h>
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"unsafe"
)

// Round is a file of a round, in which many devices learn together: a message, a reply or an
// aggregate. Options of rounds are encoded as JSON objects; docs/fleet.md has their fields.
type Round struct {
	// Data goes over the wire.
	Data []byte
	// About is what the file says, as JSON; of an average also the replies that were refused.
	About json.RawMessage
}

// Applied is the outcome of applying the aggregate in one language.
type Applied struct {
	Language  string `json:"language"`
	Version   uint32 `json:"version"`
	Activated bool   `json:"activated"`
	// Report is what the gate decided, as JSON.
	Report json.RawMessage `json:"report"`
}

// RoundAsk asks for a round of a task: it makes the message for devices, from the versions that
// serve the languages here. Options are for example map[string]any{"languages": []string{"de"}}.
func (m *Model) RoundAsk(task string, options any) (*Round, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	name, settings := arguments.text("task", task), arguments.json(options)
	if arguments.err != nil {
		return nil, arguments.err
	}
	return newRound(func(round **C.polygraft_round, failure **C.polygraft_error) C.polygraft_status {
		return C.polygraft_round_ask(m.handle, name, settings, round, failure)
	})
}

// RoundReply answers a message: it trains on examples and on remembered ones, and makes the reply.
// New examples are remembered; nothing is published or activated. Examples and options may be nil.
// Ending the context cancels it.
func (m *Model) RoundReply(
	ctx context.Context, message []byte, examples *Examples, options any,
) (reply *Round, err error) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(examples)
	arguments := arguments{}
	defer arguments.free()
	settings := arguments.json(options)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var list *C.polygraft_examples
	if examples != nil {
		list = examples.list
	}
	first, size := bytesOf(message)
	err = withCancel(ctx, func(cancel *C.polygraft_cancel) error {
		var failed error
		reply, failed = newRound(func(
			round **C.polygraft_round, failure **C.polygraft_error,
		) C.polygraft_status {
			return C.polygraft_round_reply(
				m.handle, first, size, list, settings, cancel, round, failure)
		})
		return failed
	})
	return reply, err
}

// RoundApply publishes the adapters of an aggregate as versions. Each becomes active only if the
// gate of this device lets it. Options may be nil.
func (m *Model) RoundApply(aggregate []byte, options any) ([]Applied, error) {
	defer runtime.KeepAlive(m)
	arguments := arguments{}
	defer arguments.free()
	settings := arguments.json(options)
	if arguments.err != nil {
		return nil, arguments.err
	}
	first, size := bytesOf(aggregate)
	round, err := newRound(func(round **C.polygraft_round, failure **C.polygraft_error) C.polygraft_status {
		return C.polygraft_round_apply(m.handle, first, size, settings, round, failure)
	})
	if err != nil {
		return nil, err
	}
	var applied []Applied
	err = json.Unmarshal(round.About, &applied)
	return applied, err
}

// RoundAverage averages replies to a message. A reply with anything wrong changes nothing and is
// listed under "refused". Options may be nil.
func (s *Store) RoundAverage(message []byte, replies [][]byte, options any) (*Round, error) {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	settings := arguments.json(options)
	if arguments.err != nil {
		return nil, arguments.err
	}
	// Pointers to memory of Go must not be stored in memory that C reads, unless they are pinned.
	var pinner runtime.Pinner
	defer pinner.Unpin()
	firsts := make([]*C.uint8_t, len(replies)+1)
	sizes := make([]C.size_t, len(replies)+1)
	for index, reply := range replies {
		firsts[index], sizes[index] = bytesOf(reply)
		if firsts[index] != nil {
			pinner.Pin(firsts[index])
		}
	}
	first, size := bytesOf(message)
	return newRound(func(round **C.polygraft_round, failure **C.polygraft_error) C.polygraft_status {
		return C.polygraft_round_average(s.handle, first, size, &firsts[0], &sizes[0],
			C.size_t(len(replies)), settings, round, failure)
	})
}

// ReadRound reads a message, a reply or an aggregate.
func ReadRound(data []byte) (*Round, error) {
	first, size := bytesOf(data)
	return newRound(func(round **C.polygraft_round, failure **C.polygraft_error) C.polygraft_status {
		return C.polygraft_round_read(first, size, round, failure)
	})
}

func bytesOf(data []byte) (*C.uint8_t, C.size_t) {
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(data))), C.size_t(len(data))
}

// json returns options as a text for C, or NULL for nil.
func (a *arguments) json(options any) *C.char {
	if options == nil {
		return nil
	}
	data, err := json.Marshal(options)
	if err != nil && a.err == nil {
		a.err = err
	}
	return a.text("options", string(data))
}

func newRound(
	make func(**C.polygraft_round, **C.polygraft_error) C.polygraft_status,
) (*Round, error) {
	var round *C.polygraft_round
	var failure *C.polygraft_error
	if err := check(make(&round, &failure), failure); err != nil {
		return nil, err
	}
	defer C.polygraft_round_free(&round)
	var size C.size_t
	first := C.polygraft_round_bytes(round, &size)
	return &Round{
		Data:  C.GoBytes(unsafe.Pointer(first), C.int(size)),
		About: json.RawMessage(text(C.polygraft_round_json(round))),
	}, nil
}
