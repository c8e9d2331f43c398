// Package types has the types of WIT that Go has not.
//
// It has the part of the package of this name in go.bytecodealliance.org/pkg that functions without `async` need.
package types

// Unit is the absence of a value.
type Unit struct{}

const (
	OptionNone = 0
	OptionSome = 1

	ResultOk  = 0
	ResultErr = 1
)

// Option is `option<T>`. Its zero value is none.
type Option[T any] struct {
	tag   uint8
	value T
}

// None is the absence of a T.
func None[T any]() Option[T] { return Option[T]{} }

// Some is a T.
func Some[T any](value T) Option[T] { return Option[T]{OptionSome, value} }

// Tag is OptionNone or OptionSome.
func (option Option[T]) Tag() uint8 { return option.tag }

// IsSome says whether there is a value.
func (option Option[T]) IsSome() bool { return option.tag == OptionSome }

// IsNone says whether there is no value.
func (option Option[T]) IsNone() bool { return option.tag == OptionNone }

// Some is the value. It panics if there is none.
func (option Option[T]) Some() T {
	if option.tag != OptionSome {
		panic("this option is none")
	}
	return option.value
}

// SomeOr is the value, or another one if there is none.
func (option Option[T]) SomeOr(value T) T {
	if option.tag != OptionSome {
		return value
	}
	return option.value
}

// Result is `result<T, E>`.
type Result[T, E any] struct {
	tag uint8
	ok  T
	err E
}

// Ok is a result that went well.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{tag: ResultOk, ok: value} }

// Err is a result that did not.
func Err[T, E any](value E) Result[T, E] { return Result[T, E]{tag: ResultErr, err: value} }

// Tag is ResultOk or ResultErr.
func (result Result[T, E]) Tag() uint8 { return result.tag }

// IsOk says whether it went well.
func (result Result[T, E]) IsOk() bool { return result.tag == ResultOk }

// IsErr says whether it did not.
func (result Result[T, E]) IsErr() bool { return result.tag == ResultErr }

// Ok is what it gave. It panics if it did not go well.
func (result Result[T, E]) Ok() T {
	if result.tag != ResultOk {
		panic("this result is an error")
	}
	return result.ok
}

// Err is why it did not go well. It panics if it did.
func (result Result[T, E]) Err() E {
	if result.tag != ResultErr {
		panic("this result is no error")
	}
	return result.err
}

// Tuple1 and the following are `tuple<..>`.
type Tuple1[A any] struct {
	F0 A
}

type Tuple2[A, B any] struct {
	F0 A
	F1 B
}

type Tuple3[A, B, C any] struct {
	F0 A
	F1 B
	F2 C
}

type Tuple4[A, B, C, D any] struct {
	F0 A
	F1 B
	F2 C
	F3 D
}

type Tuple5[A, B, C, D, E any] struct {
	F0 A
	F1 B
	F2 C
	F3 D
	F4 E
}

type Tuple6[A, B, C, D, E, F any] struct {
	F0 A
	F1 B
	F2 C
	F3 D
	F4 E
	F5 F
}
