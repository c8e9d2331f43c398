// The tools that wit/my-tools.wit exports, one function each. bindings/my_tools.h declares them; build.sh makes it.

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "my_tools.h"

// A string of the component model has no NUL at its end, and may have some within; one for fopen has one, at its end. The
// caller frees it.
static char *to_c(const my_tools_string_t *string) {
    if (memchr(string->ptr, '\0', string->len) != NULL) {
        errno = EINVAL;
        return NULL;
    }
    char *text = malloc(string->len + 1);
    memcpy(text, string->ptr, string->len);
    text[string->len] = '\0';
    return text;
}

static void count(FILE *file, my_tools_counts_t *counts) {
    bool in_word = false;
    *counts = (my_tools_counts_t){0};
    for (int byte; (byte = getc(file)) != EOF; counts->bytes++) {
        counts->lines += byte == '\n';
        counts->words += !in_word && !isspace(byte);
        in_word = !isspace(byte);
    }
}

// True says that `counts` was filled, false that `error` was.
bool exports_my_tools_word_count(my_tools_string_t *path, my_tools_counts_t *counts, my_tools_string_t *error) {
    char *name = to_c(path);
    FILE *file = name != NULL ? fopen(name, "rb") : NULL;
    if (file != NULL) {
        count(file, counts);
    }
    bool read = file != NULL && !ferror(file);
    if (!read) {
        char *message = NULL;
        int length = asprintf(&message, "cannot read %.*s: %s", (int)path->len, path->ptr, strerror(errno));
        // What is given back belongs to the caller, which frees it.
        *error = (my_tools_string_t){(uint8_t *)message, (size_t)length};
    }
    if (file != NULL) {
        fclose(file);
    }
    free(name);
    my_tools_string_free(path);
    return read;
}

void exports_my_tools_greet(my_tools_string_t *name, my_tools_string_t *greeting) {
    char *message = NULL;
    int length = asprintf(&message, "Hello %.*s!", (int)name->len, name->ptr);
    my_tools_string_free(name);
    *greeting = (my_tools_string_t){(uint8_t *)message, (size_t)length};
}
