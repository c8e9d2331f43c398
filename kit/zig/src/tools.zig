//! The tools that wit/my-tools.wit exports, one function each. bindings/my_tools.zig declares them; build.sh makes it.

const std = @import("std");
const wit = @import("bindings");

const Counts = wit.my_tools_counts_t;
const String = wit.my_tools_string_t;

// Of `malloc`, as what is given back has to be: the caller frees it.
const gpa = std.heap.c_allocator;
// Nothing else runs beside a call.
const io = std.Io.Threaded.global_single_threaded.io();

// True says that `counts` was filled, false that `message` was.
export fn exports_my_tools_word_count(path: *String, counts: *Counts, message: *String) bool {
    defer wit.my_tools_string_free(path);
    const name = slice(path);
    counts.* = count(name) catch |err| {
        message.* = print("cannot read {s}: {t}", .{ name, err });
        return false;
    };
    return true;
}

export fn exports_my_tools_greet(name: *String, greeting: *String) void {
    defer wit.my_tools_string_free(name);
    greeting.* = print("Hello {s}!", .{slice(name)});
}

fn count(path: []const u8) !Counts {
    const text = try std.Io.Dir.cwd().readFileAlloc(io, path, gpa, .unlimited);
    defer gpa.free(text);
    var counts: Counts = .{
        .lines = @intCast(std.mem.countScalar(u8, text, '\n')),
        .bytes = @intCast(text.len),
    };
    var words = std.mem.tokenizeAny(u8, text, &std.ascii.whitespace);
    while (words.next()) |_| counts.words += 1;
    return counts;
}

fn slice(string: *const String) []const u8 {
    return string.ptr[0..string.len];
}

// A tool that finds no memory traps: a message would need some as well.
fn print(comptime format: []const u8, args: anytype) String {
    const text = std.fmt.allocPrint(gpa, format, args) catch @panic("out of memory");
    return .{ .ptr = text.ptr, .len = text.len };
}
