// Package export_wit_world has the tools that wit/my-tools.wit exports, one function each.
package export_wit_world

import (
	"bytes"
	"fmt"
	"os"

	. "go.bytecodealliance.org/pkg/wit/types"
	. "wit_component/wit_world"
)

func WordCount(path string) Result[Counts, string] {
	text, err := os.ReadFile(path)
	if err != nil {
		return Err[Counts](fmt.Sprintf("cannot read %s: %v", path, err))
	}
	return Ok[Counts, string](Counts{
		Lines: uint32(bytes.Count(text, []byte("\n"))),
		Words: uint32(len(bytes.Fields(text))),
		Bytes: uint32(len(text)),
	})
}

func Greet(name string) string {
	return fmt.Sprintf("Hello %s!", name)
}
