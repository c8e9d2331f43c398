// Package runtime is what the bindings of wit-bindgen call: memory that is handed over, and handles.
//
// It has the part of the package of this name in go.bytecodealliance.org/pkg that functions without `async` need, so
// that nothing has to be downloaded and any Go compiler will do. To use the whole, take the `replace` out of go.mod.
package runtime

import (
	"runtime"
	"unsafe"
)

// What the caller has put into our memory, until the bindings have taken it over.
var arguments runtime.Pinner

// Allocate gives zeroed memory that stays where it is until pinner lets go of it.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	pointer := allocate(size, align)
	pinner.Pin(pointer)
	return pointer
}

// Unpin lets go of the arguments of a call.
func Unpin() {
	arguments.Unpin()
}

// The adapter of WASI preview 1 asks for memory when it is first called, which is while Go's own runtime starts and has
// none to give.
var (
	early     [256 << 10]byte
	earlyUsed uintptr
	started   bool
)

func init() {
	started = true
}

//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, newSize uintptr) unsafe.Pointer {
	if !started {
		start := uintptr(unsafe.Pointer(&early)) + earlyUsed
		start = (start + align - 1) &^ (align - 1)
		earlyUsed = start + newSize - uintptr(unsafe.Pointer(&early))
		return unsafe.Pointer(start)
	}
	pointer := allocate(newSize, align)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(pointer), newSize), unsafe.Slice((*byte)(old), oldSize))
	}
	arguments.Pin(pointer)
	return pointer
}

// The collector never sees pointers in here: what is handed over are numbers to it, and pinned.
func allocate(size, align uintptr) unsafe.Pointer {
	if size == 0 {
		size = 1
	}
	switch align {
	case 1:
		return unsafe.Pointer(unsafe.SliceData(make([]uint8, size)))
	case 2:
		return unsafe.Pointer(unsafe.SliceData(make([]uint16, (size+1)/2)))
	case 4:
		return unsafe.Pointer(unsafe.SliceData(make([]uint32, (size+3)/4)))
	case 8:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	default:
		panic("no type has this alignment")
	}
}

// Handle is a resource of the host's that is given back once.
type Handle struct {
	value int32
}

// MakeHandle wraps a resource of the host's.
func MakeHandle(value int32) *Handle {
	if value == 0 {
		panic("a resource has no handle of zero")
	}
	return &Handle{value}
}

// Set makes it the handle of another resource, after this one was given away.
func (handle *Handle) Set(value int32) {
	if value == 0 || handle.value != 0 {
		panic("this handle is in use")
	}
	handle.value = value
}

// Use is the number of a handle that stays ours.
func (handle *Handle) Use() int32 {
	if handle.value == 0 {
		panic("this resource was given away")
	}
	return handle.value
}

// Take is the number of a handle that is given away.
func (handle *Handle) Take() int32 {
	value := handle.Use()
	handle.value = 0
	return value
}

// TakeOrNil is the number of a handle, or zero if it was given away before.
func (handle *Handle) TakeOrNil() int32 {
	value := handle.value
	handle.value = 0
	return value
}
