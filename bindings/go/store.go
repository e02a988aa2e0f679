package polygraft

// #include <polygraft.h>
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// Store is a folder with the versions of all tasks and languages.
type Store struct {
	handle *C.polygraft_store
}

// StoredVersion is one version of one language's adapter for one task.
type StoredVersion struct {
	Task     string
	Language string
	// Number is 1 for the first version of a language.
	Number uint32
	// Hash is the BLAKE3 hash of the content, in hexadecimal.
	Hash      string
	SizeBytes uint64
	Created   time.Time
	// Parent is the version that was active when this one was published; 0 for none.
	Parent uint32
	// Active is true if the version serves its language. Pinned is true if it is also pinned.
	Active, Pinned bool
}

// OpenStore opens the store in a folder, and creates it if the folder is empty or absent.
func OpenStore(path string) (*Store, error) {
	arguments := arguments{}
	defer arguments.free()
	folder := arguments.text("path", path)
	if arguments.err != nil {
		return nil, arguments.err
	}
	store := &Store{}
	var failure *C.polygraft_error
	status := C.polygraft_store_open(folder, &store.handle, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	runtime.AddCleanup(store, func(handle *C.polygraft_store) {
		C.polygraft_store_close(&handle)
	}, store.handle)
	return store, nil
}

// Close closes the store. Models that were opened with it stay usable. It always returns nil.
func (s *Store) Close() error {
	handle := s.handle
	C.polygraft_store_close(&handle)
	return nil
}

// Versions lists the versions of a task, or of all tasks if task is empty, ordered by task,
// language and number.
func (s *Store) Versions(task string) ([]StoredVersion, error) {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	var name *C.char
	if task != "" {
		name = arguments.text("task", task)
	}
	if arguments.err != nil {
		return nil, arguments.err
	}
	var failure *C.polygraft_error
	var list *C.polygraft_versions
	status := C.polygraft_store_versions(s.handle, name, &list, &failure)
	if err := check(status, failure); err != nil {
		return nil, err
	}
	defer C.polygraft_versions_free(&list)
	return copyVersions(list)
}

// Reports returns the reports of all committed updates of a task, the oldest first, and the same
// reports as one HTML page with charts.
func (s *Store) Reports(task string) (reports []*Report, html string, err error) {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	name := arguments.text("task", task)
	if arguments.err != nil {
		return nil, "", arguments.err
	}
	var failure *C.polygraft_error
	var list *C.polygraft_reports
	status := C.polygraft_store_reports(s.handle, name, &list, &failure)
	if err := check(status, failure); err != nil {
		return nil, "", err
	}
	defer C.polygraft_reports_free(&list)
	for index := range C.polygraft_reports_count(list) {
		report, err := copyReport(C.polygraft_reports_get(list, index))
		if err != nil {
			return nil, "", err
		}
		reports = append(reports, report)
	}
	return reports, text(C.polygraft_reports_html(list)), nil
}

// DiscardCheckpoint removes the checkpoint of a stopped update of a task, if there is one.
func (s *Store) DiscardCheckpoint(task string) error {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	name := arguments.text("task", task)
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	return check(C.polygraft_store_discard_checkpoint(s.handle, name, &failure), failure)
}

// Activate makes versions[language] the active version of each language, all in one atomic step.
func (s *Store) Activate(task string, versions map[string]uint32) error {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	languages := make([]string, 0, len(versions))
	numbers := make([]C.uint32_t, 0, len(versions))
	for language, number := range versions {
		languages = append(languages, language)
		numbers = append(numbers, C.uint32_t(number))
	}
	name := arguments.text("task", task)
	tags := arguments.array("language", languages)
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	status := C.polygraft_store_activate(
		s.handle, name, tags, unsafe.SliceData(numbers), C.size_t(len(numbers)), &failure)
	return check(status, failure)
}

// RollBack activates the version of a language that was active before the present one. It returns
// the number of that version, or 0 for none.
func (s *Store) RollBack(task, language string) (uint32, error) {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	if arguments.err != nil {
		return 0, arguments.err
	}
	var failure *C.polygraft_error
	var number C.uint32_t
	status := C.polygraft_store_roll_back(s.handle, name, tag, &number, &failure)
	return uint32(number), check(status, failure)
}

// Pin keeps a language on its active version until Unpin. It returns the number of that version.
func (s *Store) Pin(task, language string) (uint32, error) {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	if arguments.err != nil {
		return 0, arguments.err
	}
	var failure *C.polygraft_error
	var number C.uint32_t
	status := C.polygraft_store_pin(s.handle, name, tag, &number, &failure)
	return uint32(number), check(status, failure)
}

// Unpin unpins a language, so that its version can change again.
func (s *Store) Unpin(task, language string) error {
	defer runtime.KeepAlive(s)
	arguments := arguments{}
	defer arguments.free()
	name, tag := arguments.text("task", task), arguments.text("language", language)
	if arguments.err != nil {
		return arguments.err
	}
	var failure *C.polygraft_error
	return check(C.polygraft_store_unpin(s.handle, name, tag, &failure), failure)
}

// copyVersions copies a list of versions.
func copyVersions(list *C.polygraft_versions) ([]StoredVersion, error) {
	var failure *C.polygraft_error
	versions := make([]StoredVersion, 0, int(C.polygraft_versions_count(list)))
	for index := range C.polygraft_versions_count(list) {
		var entry C.polygraft_version
		entry.struct_size = C.uint32_t(unsafe.Sizeof(entry))
		status := C.polygraft_versions_get(list, index, &entry, &failure)
		if err := check(status, failure); err != nil {
			return nil, err
		}
		versions = append(versions, StoredVersion{
			Task:      text(entry.task),
			Language:  text(entry.language),
			Number:    uint32(entry.number),
			Hash:      text(entry.hash),
			SizeBytes: uint64(entry.size_bytes),
			Created:   time.UnixMilli(int64(entry.created_unix_ms)),
			Parent:    uint32(entry.parent),
			Active:    entry.active != 0,
			Pinned:    entry.pinned != 0,
		})
	}
	return versions, nil
}
