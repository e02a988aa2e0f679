package polygraft

// #include <polygraft.h>
import "C"

// Code is the kind of an [Error]. It is an error itself, so that it can be a target of errors.Is.
type Code int32

// These are the codes that programs usually act on. Code.Name knows all codes.
const (
	CodeInternal            Code = C.POLYGRAFT_ERROR_INTERNAL
	CodePanic               Code = C.POLYGRAFT_ERROR_PANIC
	CodeCancelled           Code = C.POLYGRAFT_ERROR_CANCELLED
	CodeArgumentNull        Code = C.POLYGRAFT_ERROR_ARGUMENT_NULL
	CodeArgumentUTF8        Code = C.POLYGRAFT_ERROR_ARGUMENT_UTF8
	CodeArgumentInvalid     Code = C.POLYGRAFT_ERROR_ARGUMENT_INVALID
	CodeNotFound            Code = C.POLYGRAFT_ERROR_NOT_FOUND
	CodeIOFull              Code = C.POLYGRAFT_ERROR_IO_FULL
	CodeRuntimeNotFound     Code = C.POLYGRAFT_ERROR_RUNTIME_NOT_FOUND
	CodeRuntimeTooOld       Code = C.POLYGRAFT_ERROR_RUNTIME_TOO_OLD
	CodeBundleMismatch      Code = C.POLYGRAFT_ERROR_BUNDLE_MISMATCH
	CodeBundleUnusable      Code = C.POLYGRAFT_ERROR_BUNDLE_UNUSABLE
	CodeAdapterBaseMismatch Code = C.POLYGRAFT_ERROR_ADAPTER_BASE_MISMATCH
	CodeTaskEmptyText       Code = C.POLYGRAFT_ERROR_TASK_EMPTY_TEXT
	CodeTaskTooLong         Code = C.POLYGRAFT_ERROR_TASK_TOO_LONG
	CodeTaskUnknownLabel    Code = C.POLYGRAFT_ERROR_TASK_UNKNOWN_LABEL
	CodeTaskName            Code = C.POLYGRAFT_ERROR_TASK_NAME
	CodeTaskKind            Code = C.POLYGRAFT_ERROR_TASK_KIND
	CodeLanguageMalformed   Code = C.POLYGRAFT_ERROR_LANGUAGE_MALFORMED
	CodeLanguageUnknown     Code = C.POLYGRAFT_ERROR_LANGUAGE_UNKNOWN
	CodeStoreCorrupt        Code = C.POLYGRAFT_ERROR_STORE_CORRUPT
	CodeStoreNoVersion      Code = C.POLYGRAFT_ERROR_STORE_NO_VERSION
	CodeStoreLocked         Code = C.POLYGRAFT_ERROR_STORE_LOCKED
	CodeStorePinned         Code = C.POLYGRAFT_ERROR_STORE_PINNED
	CodeUpdateNoExamples    Code = C.POLYGRAFT_ERROR_UPDATE_NO_EXAMPLES
	CodeUpdateState         Code = C.POLYGRAFT_ERROR_UPDATE_STATE
	CodeRoundMalformed      Code = C.POLYGRAFT_ERROR_ROUND_MALFORMED
	CodeRoundMismatch       Code = C.POLYGRAFT_ERROR_ROUND_MISMATCH
)

// Name returns the stable name of the code, for example adapter.base_mismatch.
func (c Code) Name() string {
	return text(C.polygraft_status_name(C.polygraft_status(c)))
}

// Error returns the stable name, so that a Code can be a target of errors.Is.
func (c Code) Error() string {
	return c.Name()
}

// Error is a failure of the library.
type Error struct {
	// Code is the kind of the failure.
	Code Code
	// Message is the whole message.
	Message string
	// Causes are the parts of the message. The first says what was being done, the last what went
	// wrong.
	Causes []string

	// name is the stable name, which a newer library may have for a code that this package does not
	// know.
	name string
	// context is the error of the caller's context, if that cancelled the call.
	context error
}

// Error returns the message with the stable name of its code.
func (e *Error) Error() string {
	return e.Message + " [" + e.Name() + "]"
}

// Name returns the stable name of the code.
func (e *Error) Name() string {
	if e.name == "" {
		return e.Code.Name()
	}
	return e.name
}

// Is reports whether target is the code of this error.
func (e *Error) Is(target error) bool {
	code, is := target.(Code)
	return is && code == e.Code
}

// Unwrap returns the error of the context that cancelled the call, if one did.
func (e *Error) Unwrap() error {
	return e.context
}

// check turns a status and its error object into a Go error, and frees the object.
func check(status C.polygraft_status, failure *C.polygraft_error) error {
	if status == C.POLYGRAFT_OK {
		return nil
	}
	defer C.polygraft_error_free(&failure)
	result := &Error{
		Code:    Code(C.polygraft_error_code(failure)),
		Message: text(C.polygraft_error_message(failure)),
		name:    text(C.polygraft_error_name(failure)),
	}
	for index := range C.polygraft_error_causes_count(failure) {
		result.Causes = append(result.Causes, text(C.polygraft_error_cause(failure, index)))
	}
	return result
}
