//! Results that lie: pointers, lengths, cases and characters that a guest makes up. Each fails its call alone.

use inorder::Host;
use serde_json::{Value, json};

use crate::support::{call, text_plugin};

/// A plugin whose function `f` gives what a core function says, with these bytes at the start of its memory.
fn plugin(result: &str, encoding: &str, core: &str, data: &str) -> Host {
    let (word, value) = core.split_once(' ').unwrap();
    let wat = format!(
        r#"(component
          (type $color' (enum "red" "green"))
          (type $shape' (variant (case "none") (case "side" u32) (case "name" string)))
          (type $point' (record (field "x" u8) (field "y" u32)))
          (type $rights' (flags "r" "w" "x"))
          (export $color "color" (type $color'))
          (export $shape "shape" (type $shape'))
          (export $point "point" (type $point'))
          (export $rights "rights" (type $rights'))
          (core module $m
            (memory (export "memory") 1)
            (data (i32.const 0) "{data}")
            (func (export "f") (result {word}) ({word}.const {value})))
          (core instance $i (instantiate $m))
          (func (export "f") (result {result})
            (canon lift (core func $i "f") string-encoding={encoding} (memory $i "memory"))))"#
    );
    Host::builder().plugin(text_plugin("liar", &wat)).build().unwrap()
}

/// The result of `f`.
fn lifted(result: &str, core: &str, data: &str) -> Value {
    call(&plugin(result, "utf8", core, data), "f", json!({}))
}

#[test]
fn a_result_that_leads_nowhere_fails_its_call_alone() {
    let lies = [
        ("string", "i32 65533", ""), // the result itself, at the end
        ("string", "i32 -4", ""),    // and beyond it
        ("string", "i32 1", ""),     // and not aligned
        ("string", "i32 0", r"\f0\ff\ff\ff\04\00\00\00"), // a pointer out of the memory
        ("string", "i32 0", r"\08\00\00\00\ff\ff\03\00"), // a length out of it
        ("string", "i32 0", r"\08\00\00\00\02\00\00\00\c3\28"), // no UTF-8
        ("(list u8)", "i32 0", r"\fa\ff\00\00\64\00\00\00"),
        ("(list u8)", "i32 0", r"\ff\ff\ff\ff\ff\ff\ff\ff"),
        ("(list u32)", "i32 0", r"\08\00\00\00\ff\ff\ff\ff"), // too long to count its bytes
        ("(list u32)", "i32 0", r"\0a\00\00\00\01\00\00\00"), // not aligned
        ("(list char)", "i32 0", r"\08\00\00\00\01\00\00\00\00\d8\00\00"), // a surrogate
        ("(list $shape)", "i32 0", r"\08\00\00\00\01\00\00\00\03\00\00\00"), // a case too many
        ("(list $color)", "i32 0", r"\08\00\00\00\01\00\00\00\02"),
        ("(list (option u8))", "i32 0", r"\08\00\00\00\01\00\00\00\02"),
        ("$shape", "i32 0", r"\02\00\00\00\ff\ff\00\00\ff\00\00\00"), // a string out of the memory
        ("$color", "i32 2", ""),
        ("$color", "i32 -1", ""),
        ("char", "i32 1114112", ""),
        ("char", "i32 55296", ""),
        ("(result)", "i32 2", ""),
    ];
    for (result, core, data) in lies {
        let ended = lifted(result, core, data);
        assert_eq!(ended["status"], "error", "{result} {core} {data}: {ended}");
        assert_eq!(ended["error"]["kind"], "trap", "{result} {core} {data}: {ended}");
    }
}

#[test]
fn what_the_canonical_abi_lets_a_guest_leave_open_is_read_as_it_says() {
    for (result, core, data, expected) in [
        ("u8", "i32 513", "", json!(1)), // the upper bits are not part of it
        ("s8", "i32 255", "", json!(-1)),
        ("bool", "i32 7", "", json!(true)),
        ("f32", "f32 nan:0x200000", "", json!("NaN")),
        ("$rights", "i32 0xfe", "", json!(["w", "x"])), // nor are flags that there are not
        ("$color", "i32 1", "", json!("green")),
        ("(list u8)", "i32 0", r"\ff\ff\ff\ff\00\00\00\00", Value::Null), // an empty list is somewhere, too
        ("(list bool)", "i32 0", r"\08\00\00\00\03\00\00\00\00\02\ff", json!([false, true, true])),
        ("$point", "i32 0", r"\05\aa\aa\aa\07\00\00\00", json!({"x": 5, "y": 7})),
        ("$shape", "i32 0", r"\01\00\00\00\09\00\00\00", json!({"side": 9})),
        ("(list $rights)", "i32 0", r"\08\00\00\00\02\00\00\00\01\fc", json!([["r"], ["x"]])),
        ("(tuple u8 u16 u8)", "i32 0", r"\01\00\02\00\03\00", json!([1, 2, 3])),
    ] {
        let ended = lifted(result, core, data);
        if expected.is_null() {
            assert_eq!(ended["error"]["kind"], "trap", "{result} {core} {data}: {ended}");
        } else {
            assert_eq!(ended["value"], expected, "{result} {core} {data}: {ended}");
        }
    }
}

#[test]
fn an_error_of_a_tool_s_own_is_no_longer_than_one_may_be() {
    let error = |length: u32| {
        let le = |number: u32| number.to_le_bytes().map(|byte| format!("\\{byte:02x}")).concat();
        // `err`, and where its text is: zeroes, of which each is six bytes of JSON.
        let data = format!("{}{}{}", le(1), le(16), le(length));
        lifted("(result (error string))", "i32 0", &data)
    };
    assert_eq!(error(40_000)["error"]["kind"], "tool");
    let long = error(50_000);
    assert_eq!(long["error"]["kind"], "output", "{long}");
    assert!(long["error"]["message"].as_str().unwrap().contains("256.0 KiB"), "{long}");
}

#[test]
fn strings_are_read_in_the_encoding_that_the_guest_declares() {
    let string = |encoding, data| call(&plugin("string", encoding, "i32 0", data), "f", json!({}));
    for (encoding, data, expected) in [
        ("utf8", r"\08\00\00\00\03\00\00\00\e6\b0\b4", "水"),
        ("utf16", r"\08\00\00\00\03\00\00\00\34\6c\3e\d8\80\dd", "水🦀"),
        ("latin1+utf16", r"\08\00\00\00\02\00\00\00\e9\22", "é\""),
        ("latin1+utf16", r"\08\00\00\00\03\00\00\80\34\6c\3e\d8\80\dd", "水🦀"),
    ] {
        assert_eq!(string(encoding, data)["value"], expected, "{encoding} {data}");
    }
    for (encoding, data) in [
        ("utf16", r"\09\00\00\00\01\00\00\00\34\6c"), // not aligned
        ("latin1+utf16", r"\09\00\00\00\01\00\00\00\34\6c"),
        ("utf16", r"\fe\ff\00\00\02\00\00\00"), // out of the memory by a unit
        ("utf16", r"\08\00\00\00\ff\ff\ff\ff"), // too long to count its bytes
        ("utf16", r"\08\00\00\00\01\00\00\00\3e\d8"), // half of a character
        ("latin1+utf16", r"\08\00\00\00\01\00\00\80\80\dd"),
    ] {
        let ended = string(encoding, data);
        assert_eq!(ended["error"]["kind"], "trap", "{encoding} {data}: {ended}");
    }
}

#[test]
fn a_list_that_would_take_more_than_a_result_may_is_refused_before_it_is_read() {
    // 60,000 times the same list of 15,000 bytes.
    let wat = r#"(component
      (core module $m
        (memory (export "memory") 16)
        (func (export "f") (result i32)
          (local $at i32)
          (loop $next
            (i32.store (i32.add (i32.const 16) (local.get $at)) (i32.const 500000))
            (i32.store (i32.add (i32.const 20) (local.get $at)) (i32.const 15000))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 480000))))
          (i32.store (i32.const 0) (i32.const 16))
          (i32.store (i32.const 4) (i32.const 60000))
          (i32.const 0)))
      (core instance $i (instantiate $m))
      (func (export "f") (result (list (list u8)))
        (canon lift (core func $i "f") (memory $i "memory"))))"#;
    let host = Host::builder().plugin(text_plugin("bomb", wat)).build().unwrap();
    let ended = call(&host, "f", json!({}));
    assert_eq!(ended["error"]["kind"], "output", "{ended}");
}
