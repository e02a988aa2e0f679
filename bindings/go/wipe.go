package polygraft

// #include <polygraft.h>
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// WipeOptions say which remembered examples [Store.Wipe] wipes: those that meet all stated
// conditions. The zero value states none, which means all examples of the task.
type WipeOptions struct {
	// Language and Label are conditions if they are not empty. A label is also a tag, or a kind of
	// span.
	Language, Label string
	// AddedBefore is a condition if it is not zero. All examples of its day are meant.
	AddedBefore time.Time
	// Retire removes the versions that may have learnt from the examples, also active ones.
	Retire bool
}

// Wiped is what a wipe did.
type Wiped struct {
	// Examples has the number of wiped examples of each language.
	Examples map[string]uint64
	// Learnt are the versions that may have learnt from them, as they were before.
	Learnt []StoredVersion
	// Retired is true if these versions were removed.
	Retired bool
}

// Wipe wipes remembered examples of a task and names the versions that may have learnt from them.
// Options may be nil: everything that is remembered of the task is wiped.
func (s *Store) Wipe(task string, options *WipeOptions) (*Wiped, error) {
	defer runtime.KeepAlive(s)
	var failure *C.polygraft_error
	var settings C.polygraft_wipe_options
	size := C.size_t(unsafe.Sizeof(settings))
	if err := check(C.polygraft_wipe_options_init(&settings, size, &failure), failure); err != nil {
		return nil, err
	}
	arguments := arguments{}
	defer arguments.free()
	if options != nil {
		settings.language = arguments.unlessEmpty("Language", options.Language)
		settings.label = arguments.unlessEmpty("Label", options.Label)
		settings.retire = flag(options.Retire)
		if !options.AddedBefore.IsZero() {
			// 0 would mean all examples; before 1970 there are none.
			settings.added_before_unix_ms = C.uint64_t(max(options.AddedBefore.UnixMilli(), 1))
		}
	}
	name := arguments.text("task", task)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var wiped *C.polygraft_wiped
	status := C.polygraft_store_wipe(s.handle, name, &settings, &wiped, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_wiped_free(&wiped)
	result := &Wiped{Examples: map[string]uint64{}, Retired: C.polygraft_wiped_retired(wiped) != 0}
	for index := range C.polygraft_wiped_languages_count(wiped) {
		var entry C.polygraft_wiped_language
		entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
		status := C.polygraft_wiped_get(wiped, index, &entry, &failure)
		if err := check(status, failure); err != nil {
			return nil, err
		}
		result.Examples[text(entry.language)] = uint64(entry.examples_count)
	}
	learnt, err := copyVersions(C.polygraft_wiped_versions(wiped))
	result.Learnt = learnt
	return result, err
}

// RemoveVersions removes old versions of a task with their files, and returns them. If language is
// empty, it does so in all languages. Of each language the active version stays, and so do the
// keepLast newest ones.
func (s *Store) RemoveVersions(task, language string, keepLast uint32) ([]StoredVersion, error) {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.unlessEmpty("language", language)
	if arguments.err != nil {
		return nil, arguments.err
	}
	var failure *C.polygraft_error
	var removed *C.polygraft_versions
	status := C.polygraft_store_remove_versions(
		s.handle, name, tag, C.uint32_t(keepLast), &removed, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_versions_free(&removed)
	return copyVersions(removed)
}
